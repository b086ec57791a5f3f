"""`midspan serve` as a process, and what it refuses in one line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from midspan.cli import main

TASKS = """
import asyncio, midspan

@midspan.task
def double(n: int):
    return 2 * n

@midspan.task
async def forever():
    await asyncio.Event().wait()

@midspan.task
def stubborn():
    import time
    time.sleep(3600)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "some_tasks.py").write_text(TASKS, "utf-8")
    del environ["MIDSPAN_SERVER"]
    return environ


@contextmanager
def serving(start: Start, *words: str | Path, **options: Any) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A served process, its port, and the line that it has printed."""
    process = start("serve", "--port", "0", *words, **options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, process.communicate(timeout=10)
        yield process, int(line.split("http://127.0.0.1:")[1].split()[0]), line
    finally:
        process.kill()
        process.communicate(timeout=10)


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_tasks_of_a_file_are_served_and_run(start: Start, tmp_path: Path, eventually: Callable[..., None]) -> None:
    with serving(start, "--tasks", tmp_path / "some_tasks.py") as (_, port, line):
        assert line.startswith("midspan serves http://127.0.0.1:")
        assert line.endswith("with the tasks double, forever, stubborn\n")
        status, operation = ask(port, "POST", "/v1/tasks/double", {"n": 21})
        path = f"/v1/operations/{operation['operation_id']}"
        eventually(lambda: ask(port, "GET", path)[1]["status"] == "completed")
        assert (status, ask(port, "GET", path)[1]["result"]) == (202, 42)


def test_the_example_says_what_seed_s1_says(start: Start, eventually: Callable[..., None]) -> None:
    """S1-21."""
    example = Path(__file__).parents[2] / "examples" / "long_tasks.py"
    with serving(start, "--tasks", example) as (_, port, _line):
        _, operation = ask(port, "POST", "/v1/tasks/data_analysis", {"duration_seconds": 0, "steps": 2})
        path = f"/v1/operations/{operation['operation_id']}"
        eventually(lambda: ask(port, "GET", path)[1]["status"] == "completed")
        _, last = ask(port, "GET", path)
        assert [event["message"] for event in last["history"] if event["type"] != "start"] == [
            "Processing step 1/2 - data_analysis",
            "Processing step 2/2 - data_analysis",
            "Completed 2 steps successfully",
        ]
        _, operation = ask(port, "POST", "/v1/tasks/primes", {"below": 100})
        path = f"/v1/operations/{operation['operation_id']}"
        eventually(lambda: ask(port, "GET", path)[1]["result"] == 25)


def test_a_dotted_name_is_found_from_the_working_directory_and_a_token_is_asked_for(
    start: Start, tmp_path: Path
) -> None:
    package = tmp_path / "app"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "jobs.py").write_text(TASKS, "utf-8")
    words = ("--tasks", "app.jobs", "--token", "secret")
    with serving(start, *words, cwd=tmp_path) as (process, port, line):
        assert ask(port, "GET", "/v1/tasks")[0] == 401
        _, body = ask(port, "GET", "/v1/tasks", authorization="Bearer secret")
        assert len(body["tasks"]) == 3
        process.terminate()
        out, err = process.communicate(timeout=20)
        assert "secret" not in line + out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_what_runs(
    start: Start, tmp_path: Path, number: signal.Signals, eventually: Callable[..., None]
) -> None:
    with serving(start, "--tasks", tmp_path / "some_tasks.py", env={"MIDSPAN_LOG": "json"}) as (process, port, _):
        operation_id = ask(port, "POST", "/v1/tasks/forever")[1]["operation_id"]
        path = f"/v1/operations/{operation_id}"
        eventually(lambda: ask(port, "GET", path)[1]["elapsed_seconds"] > 1.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        events = [json.loads(line) for line in err.splitlines()]
    assert (process.returncode, out) == (0, "")
    assert [event["body"] for event in events][-1] == "forever cancelled"


def test_a_second_signal_does_not_wait_for_a_task_that_goes_on(
    start: Start, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    with serving(start, "--tasks", tmp_path / "some_tasks.py") as (process, port, _):
        path = f"/v1/operations/{ask(port, 'POST', '/v1/tasks/stubborn')[1]['operation_id']}"
        process.terminate()
        eventually(lambda: ask(port, "GET", path)[1]["cancel"]["requested_at"])
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_a_taken_port_that_was_asked_for_is_refused(start: Start) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("serve", "--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert "cannot be served: Address already in use" in err


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the caller, and a folder with files that are no good."""
    for name in [name for name in os.environ if name.startswith("MIDSPAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # where tasks are found is put there
    (tmp_path / "broken_tasks.py").write_text("import midspan\nraise ValueError('no\\ngood')\n", "utf-8")
    (tmp_path / "wrong_tasks.py").write_text("def f(:\n", "utf-8")
    (tmp_path / "leaving_tasks.py").write_text("import sys\nsys.exit(3)\n", "utf-8")
    (tmp_path / "json.py").touch()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--fast", "--fast"),
        ("app.py", "app.py"),
        ("--port x", "invalid int value: 'x'"),
        ("--port 70000", "--port 70000 is not a port: accepted is 0 to 65535"),
        ("--host 0.0.0.0", "needs a token"),
        ("--host 192.0.2.1 --token t --port 0", "192.0.2.1:0 cannot be served: Cannot assign requested address"),
        ("--tasks no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("--tasks no_such_file.py", "there is no such file"),
        ("--tasks broken_tasks.py", "ValueError: no ("),
        ("--tasks broken_tasks.py", "broken_tasks.py, line 2)"),
        ("--tasks wrong_tasks.py", "SyntaxError: invalid syntax"),
        ("--tasks leaving_tasks", "SystemExit: 3"),
        ("--tasks json.py", "a module 'json' is imported already; rename the file"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(words: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["serve", *words.split()])
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("midspan: serve: ") and said in err and err.count("\n") == 1


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("MIDSPAN_ENABLED", "false", "nothing to serve"), ("MIDSPAN_SERVRE", "off", "did you mean MIDSPAN_SERVER?")],
)
def test_a_setting_that_cannot_be_used_is_told(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["serve"]) == 2
    assert said in capfd.readouterr().err
