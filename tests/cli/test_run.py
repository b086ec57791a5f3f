"""`midspan run` with real programs as its child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import row

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

TELLS = "import os, sys; os.write(int(os.environ['MIDSPAN_FEED_FD'].split(':')[0]), open(sys.argv[1], 'rb').read())"


@pytest.fixture
def tell(run: Run, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program that writes the given lines to the feed by itself, with midspan switched off in it."""

    def tell(*lines: bytes, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        app, feed = tmp_path / "tells.py", tmp_path / "feed"
        app.write_text(TELLS)
        feed.write_bytes(b"".join(lines))
        return run("run", *options, app, feed, env={"MIDSPAN_ENABLED": "false"})

    return tell


def encoded(**changed: object) -> bytes:
    return msgspec.json.encode(row(**changed)) + b"\n"


@pytest.mark.parametrize(("code", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_exit_status_is_the_programs_own(code: str, status: int, run: Run) -> None:
    assert run("run", "--", "sh", "-c", code).returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_program_once(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    app = tmp_path / "waits.py"
    app.write_text(
        "import signal, time\n"
        "seen = []\n"
        f"signal.signal({int(number)}, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\n"
        "time.sleep(0.2)  # for a second one to arrive\n"
        "raise SystemExit(len(seen) + 40)\n"
    )
    with start("run", app) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == 41


def test_the_programs_stdout_is_its_own_byte_for_byte(environ: dict[str, str]) -> None:
    code = "import os; os.write(1, bytes(range(256)))"
    command = [sys.executable, "-m", "midspan", "run", "--", sys.executable, "-c", code]
    assert subprocess.run(command, env=environ, capture_output=True, timeout=30).stdout == bytes(range(256))


def test_the_programs_stdin_is_passed_through(start: Start) -> None:
    with start("run", "--quiet", "--", "cat", stdin=subprocess.PIPE) as process:
        assert process.communicate("through\n", timeout=30) == ("through\n", "")


def test_each_change_is_a_line_and_the_end_a_summary(tell: Run) -> None:
    done = tell(b'{"server":"http://127.0.0.1:1"}\n', encoded(), encoded(status="completed", elapsed_seconds=3.0))
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "midspan: http://127.0.0.1:1/v1/operations"
    assert lines[1].startswith("midspan: chat tiny [abcdef] streaming_response")
    assert lines[2].startswith("midspan: chat tiny [abcdef] completed")
    assert lines[3:] == [
        "midspan: 1 operation: 1 completed",
        "midspan: slowest: chat tiny 3.0 s, completed (~1,234 tokens, 42/s)",
    ]


def test_what_runs_when_the_program_goes_away_is_lost(tell: Run) -> None:
    done = tell(encoded(), b'{"operation_id": "half')
    assert "midspan: 1 operation: 1 lost\n" in done.stderr and "Traceback" not in done.stderr


def test_quiet_says_nothing(tell: Run) -> None:
    done = tell(encoded(), options=("--quiet",))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nobody_reading_stderr_does_not_change_the_exit_status(start: Start) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("run", "--", "sh", "-c", "exit 7", stderr=writing) as process:
        os.close(writing)
        process.communicate(timeout=30)
    assert process.returncode == 7


def test_a_process_that_is_left_behind_does_not_hold_the_run_up(run: Run, tmp_path: Path) -> None:
    """It has inherited the pipe, whose end would therefore not be seen before it ends as well."""
    app = tmp_path / "leaves.py"
    app.write_text(
        "import subprocess, sys\n"
        "code = 'import time; time.sleep(300)'\n"
        "left = subprocess.Popen([sys.executable, '-S', '-c', code], close_fds=False,"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(left.pid)\n"
    )
    done = run("run", "--quiet", app, env={"MIDSPAN_ENABLED": "false"})
    left = int(done.stdout)
    os.kill(left, 0)
    os.kill(left, signal.SIGKILL)
    assert done.returncode == 0


def test_a_real_operation_is_seen_from_its_start_to_its_end(run: Run, tmp_path: Path) -> None:
    app = tmp_path / "tracks.py"
    app.write_text(
        "from midspan import ProgressTracker\n"
        "with ProgressTracker(operation_type='general', name='count', total_steps=2) as tracker:\n"
        "    tracker.update(1, 'half')\n"
        "print('done')\n"
    )
    done = run("run", app)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "midspan: 1 operation: 1 completed\n" in done.stderr


def test_the_programs_own_sitecustomize_is_still_loaded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.of_the_app = __file__\n")
    code = "import sys, sitecustomize; print(sys.of_the_app == sitecustomize.__file__)"
    done = run("run", "--", sys.executable, "-c", code, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_midspans_own_folder_does_not_stay_on_the_path(run: Run) -> None:
    code = "import sys; print([entry for entry in sys.path if entry.endswith('boot')])"
    assert run("run", "--", sys.executable, "-c", code).stdout == "[]\n"


def test_a_broken_sitecustomize_of_the_program_does_what_it_does_without_midspan(run: Run, tmp_path: Path) -> None:
    """Python says so and goes on; and midspan is attached all the same."""
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('broken by the app')\n")
    code = "import sys; print('midspan.runtime.wiring' in sys.modules)"
    done = run("run", "--", sys.executable, "-c", code, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "broken by the app" in done.stderr


def test_a_python_in_which_midspan_is_unusable_runs_the_program_all_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('not for this Python')\n")
    script = f"PYTHONPATH=$PYTHONPATH:{tmp_path} exec {sys.executable} -c 'print(1)'"
    done = run("run", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "midspan: not attached" in done.stderr and "Traceback" not in done.stderr


def test_an_interrupt_while_midspan_attaches_ends_the_program_without_a_word_of_pythons(
    run: Run, tmp_path: Path
) -> None:
    finder = "import signal, sys\nclass Finder:\n    def find_spec(self, name, *_):\n"
    interrupts = "        if name == 'midspan.runtime.wiring':\n            signal.raise_signal(signal.SIGINT)\n"
    (tmp_path / "sitecustomize.py").write_text(f"{finder}{interrupts}sys.meta_path.insert(0, Finder())\n")
    script = f"PYTHONPATH=$PYTHONPATH:{tmp_path} exec {sys.executable} -c 'print(1)'"
    done = run("run", "--quiet", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")


def test_a_program_that_an_interrupt_ends_while_the_server_starts_dies_of_the_signal(run: Run) -> None:
    code = "import signal; signal.raise_signal(signal.SIGINT)"
    done = run("run", "--server", "127.0.0.1:0", "--quiet", "--", sys.executable, "-c", code)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.endswith("KeyboardInterrupt\n")
