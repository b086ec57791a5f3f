from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from midspan import cli
from midspan.cli import main


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the caller, and a folder with one file that is no program."""
    for name in [name for name in os.environ if name.startswith("MIDSPAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no command given; there are: run, serve, watch, demo"),
        ("walk", "unknown command 'walk'; there are: run, serve, watch, demo"),
        ("run", "no command given: midspan run -- python app.py"),
        ("run --", "no command given"),
        ("run --fast ls", "--fast"),
        ("run --server nowhere ls", "accepted is host:port"),
        ("run --server 127.0.0.1:99999 ls", "accepted is host:port"),
        ("run --server", "expected one argument"),
        ("run --events all ls", "accepted is span, log"),
        ("run no-such-program", "no command 'no-such-program'"),
        ("run no_such_app.py", "no file 'no_such_app.py'"),
        ("run -- python no_such_app.py", "no file 'no_such_app.py'"),
        ("run -- python .", "without a __main__.py"),
        ("run ./notes.txt", "not executable"),
        ("run .", "is a folder"),
        ("run -m", "needs the name of a module"),
        ("run -m no_such_module.sub", "no module 'no_such_module'"),
        ("run --view ls", "needs a terminal"),
        ("demo --slowly", "--slowly"),
        ("top ftp://here", "is not an http(s) URL"),
        ("top --token", "expected one argument"),
        ("doctor --fast", "--fast"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(words: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(words.split())
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("midspan: ") and said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MIDSPAN_EVENTS", "everything", "accepted is span, log"),
        ("MIDSPAN_SERVER", "9465", "accepted is host:port"),
        ("MIDSPAN_SERVRE", "off", "did you mean MIDSPAN_SERVER?"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_run_before_it_starts(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    status = main(["run", "--", "echo", "started"])
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert name in err and said in err and err.count("\n") == 1


def test_a_file_that_is_no_program_after_all_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is executable, so only the kernel can tell."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\0\1\2\3")
    broken.chmod(0o755)
    assert main(["run", str(broken)]) == 2
    assert "cannot be started" in capfd.readouterr().err


def test_the_process_ends_with_status_2_and_without_a_traceback(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run("run", "no-such-program")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_an_interrupt_before_a_command_has_begun_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_name: str) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    assert main(["run", "app.py"]) == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("words", ["--help", "run --help", "--version"])
def test_help_and_version_go_to_stdout(words: str, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run(*words.split())
    assert (done.returncode, done.stderr) == (0, "") and "midspan" in done.stdout
