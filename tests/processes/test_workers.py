"""Programs of several processes: multiprocessing, gunicorn and uvicorn with workers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.processes.programs import ALWAYS, clean_environ

QUESTION = 'dict(model="ok", messages=[{"role": "user", "content": "Hi."}])'
MULTIPROCESSING = f"""{ALWAYS}
import json, multiprocessing
import midspan, openai

def begin():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ToFile(sys.argv[3])))
    trace.set_tracer_provider(provider)
    midspan.instrument()

def ask():
    openai.OpenAI(base_url=sys.argv[2]).chat.completions.create(**{QUESTION})

def work(fresh):
    if fresh:
        begin()
    assert midspan.get_progress_registry().operations() == []
    ask()
    midspan.ProgressTracker(name="left").start()
    operations = midspan.get_progress_registry().operations()
    print(json.dumps([o.name + " " + o.status for o in operations]), threads(), flush=True)

if __name__ == "__main__":
    begin()
    ask()
    with midspan.ProgressTracker(name="outer"):
        method = sys.argv[1]
        child = multiprocessing.get_context(method).Process(target=work, args=(method != "fork",))
        child.start()
        child.join()
        assert child.exitcode == 0
    print(sorted(o.name + " " + o.status for o in midspan.get_progress_registry().operations()))
"""
APP = f"""
import atexit, json, os, threading
import midspan, openai

def ask(**more):
    return openai.OpenAI(base_url=os.environ["FAKE"]).chat.completions.create(**{QUESTION}, **more)

# In flight wherever this is imported: before the fork, with `--preload`.
in_flight = ask(stream=True)
next(in_flight)
# CPython 3.13.0 crashes when openai's open stream is collected by the ending interpreter, with or without midspan.
atexit.register(in_flight.close)
here = os.getpid()

def report():
    operations = midspan.get_progress_registry().operations()
    before = [o.status for o in operations]
    ask()
    names = sorted(t.name for t in threading.enumerate() if t.name.startswith("midspan"))
    return json.dumps({{"pid": os.getpid(), "imported": here, "before": before, "threads": names}}).encode()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [report()]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": report()}})
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_process_of_multiprocessing_counts_its_own_and_ends_what_it_leaves(method: str, tmp_path: Path) -> None:
    script, spans = tmp_path / "program.py", tmp_path / "spans"
    script.write_text(MULTIPROCESSING)
    with FakeOpenAI() as fake:
        command = [sys.executable, str(script), method, fake.base_url, str(spans)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environ(), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    child, parent = done.stdout.splitlines()
    assert child == '["left running", "chat completed"] ' + "['midspan-pulse']"
    assert parent == "['chat completed', 'outer completed']"
    assert Counter(spans.read_text().splitlines()) == {
        "chat ok completed": 2,
        "left lost": 1,
        "outer completed": 1,
    }


class Served:
    """A server with workers under `midspan run`; `url` is where it says that it listens."""

    def __init__(self, words: list[str], where: str, folder: Path, fake: FakeOpenAI) -> None:
        (folder / "app.py").write_text(APP)
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "midspan", "run", "--server", "127.0.0.1:0", "--", sys.executable, "-m", *words],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=clean_environ(FAKE=fake.base_url, PYTHONPATH=str(folder)),
        )
        self._where = re.compile(where)
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if self._where.search(line):
                self._listens.set()
        self._listens.set()

    def answers(self, workers: int) -> dict[int, dict[str, Any]]:
        """The first answer of each worker, by process."""
        assert self._listens.wait(40), self.lines
        found = self._where.search("".join(self.lines))
        assert found is not None, self.lines
        answers: dict[int, dict[str, Any]] = {}
        end = time.monotonic() + 40
        while len(answers) < workers:
            assert time.monotonic() < end, (answers, self.lines)
            try:
                with urlopen(found[1], timeout=20) as page:
                    answer = json.load(page)
            except OSError:  # its workers are not there yet
                continue
            answers.setdefault(answer["pid"], answer)
        return answers

    def end(self) -> int:
        """Ends it as an operator does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()
            self._thread.join(20)
            assert self.process.stderr is not None
            self.process.stderr.close()


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_gunicorn_workers_start_empty_after_preload_and_say_once_who_serves(tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        words = ["gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket", "app:wsgi"]
        served = Served(words, r"Listening at: (http://\S+)", tmp_path, fake)
        try:
            answers = served.answers(2)
        finally:
            status = served.end()
    assert status == 0, served.lines
    (master,) = {answer["imported"] for answer in answers.values()}
    for pid, answer in answers.items():
        assert pid != master
        assert answer["before"] == []
        assert answer["threads"] == ["midspan-pulse"]
        said = [line for line in served.lines if f"operations of process {pid} are not seen" in line]
        assert len(said) == 1 and f"process {master} of this run serves" in said[0], served.lines
    assert "Traceback" not in "".join(served.lines)


def test_uvicorn_workers_each_see_their_own_and_say_once_who_serves(tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        words = ["uvicorn", "--workers", "2", "--port", "0", "app:asgi"]
        served = Served(words, r"Uvicorn running on (http://\S+)", tmp_path, fake)
        try:
            answers = served.answers(2)
        finally:
            served.end()
    for pid, answer in answers.items():
        assert answer["imported"] == pid
        assert answer["before"] == ["running"]
        assert answer["threads"] == ["midspan-pulse"]
        said = [line for line in served.lines if f"operations of process {pid} are not seen" in line]
        assert len(said) == 1, served.lines
    assert "Traceback" not in "".join(served.lines)
