"""Every way in which a process ends: running operations end with it, and the process ends as without midspan."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from midspan.cli.child import BOOT
from midspan.runtime.feed import VARIABLE, Pipe
from tests.fakes.openai_server import FakeOpenAI
from tests.processes.programs import clean_environ, program, run, start

LOST = "job lost"
CANCELLED = "job cancelled"
INSTRUMENTED = """
import midspan, signal, time
midspan.instrument()
telemetry(sys.argv[1])
"""
ENDINGS = {
    "the last line": ("", 0, LOST),
    "sys.exit": ("sys.exit(3)", 3, LOST),
    "sys.exit inside": ("with job: sys.exit(3)", 3, CANCELLED),
    "an exception": ("raise KeyError('of the app')", 1, LOST),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", -signal.SIGINT, LOST),
    "SIGINT inside": (
        "with job:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(30)",
        -signal.SIGINT,
        CANCELLED,
    ),
    "SIGTERM with a handler": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); signal.raise_signal(signal.SIGTERM); time.sleep(30)",
        5,
        LOST,
    ),
}


def ending(code: str, spans: Path, **more: str) -> tuple[int, str, str]:
    """How the program ends: its exit status, stdout and stderr."""
    job = "job = midspan.ProgressTracker(name='job', operation_id='job')\njob.start()\nprint('on', flush=True)\n"
    with start(INSTRUMENTED + job + code, str(spans), **more) as process:
        out, err = process.communicate(timeout=45)
    return process.returncode, out, re.sub("0x[0-9a-f]+", "0x", err)


@pytest.mark.parametrize("how", ENDINGS)
def test_what_runs_is_ended_and_exported_and_the_process_ends_as_ever(how: str, tmp_path: Path) -> None:
    code, status, line = ENDINGS[how]
    seen = ending(code, tmp_path / "spans")
    assert seen == ending(code, tmp_path / "none", MIDSPAN_ENABLED="false")
    assert seen[0] == status, seen
    assert (tmp_path / "spans").read_text() == f"{line}\n"


def test_signals_that_nobody_handles_stay_unhandled_and_kill_at_once(tmp_path: Path) -> None:
    """A handler of ours would have to wait for the main thread, that may be inside of a library for long."""
    code = """
        import signal, threading
        before = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
        wakeup = signal.set_wakeup_fd(-1)
        import midspan
        midspan.instrument(server="127.0.0.1:0")
        midspan.ProgressTracker().start()
        assert [signal.getsignal(number) for number in sorted(signal.valid_signals())] == before
        assert signal.set_wakeup_fd(-1) == wakeup == -1
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
        print("ready", flush=True)
        input()
        """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        with start(code) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (-number, "")


def test_a_killed_program_is_reported_by_midspan_run_with_what_was_lost() -> None:
    code = """
        import midspan, sys
        midspan.ProgressTracker(name="job").start()
        print("ready", flush=True)
        sys.stdin.read()
        """
    for number in (signal.SIGTERM, signal.SIGKILL):
        under = (sys.executable, "-m", "midspan", "run", "--server", "off", "--")
        with start("print(os.getpid(), flush=True)\n" + program(code), under=under) as process:
            assert process.stdout is not None and process.stderr is not None
            pid = int(process.stdout.readline())
            assert process.stdout.readline() == "ready\n"
            assert " job " in process.stderr.readline()
            os.kill(pid, number)
            _, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number
        assert "midspan: 1 operation: 1 lost\n" in err


def test_the_feed_gets_the_endings_of_a_process_that_exits() -> None:
    code = """
        import midspan
        midspan.ProgressTracker("first").start()
        second = midspan.ProgressTracker("second")
        second.start()
        registry = midspan.get_progress_registry()
        registry.drop(second.state, second.status.CANCELLED, "dropped")
        """
    reading, writing = os.pipe()
    environ = clean_environ(PYTHONPATH=os.pathsep.join([str(BOOT), *sys.path]))
    environ[VARIABLE] = str(Pipe.of(writing))
    os.set_inheritable(writing, True)
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", program(code)], environ)
    os.close(writing)
    with os.fdopen(reading) as feed:
        rows = [json.loads(line) for line in feed]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    last = {row["operation_id"]: (row["status"], row["status_reason"]) for row in rows}
    assert last == {"first": ("lost", "process exit"), "second": ("cancelled", "dropped")}


QUESTION = """
import asyncio, threading, time
import midspan
midspan.instrument(server="127.0.0.1:0")
telemetry(sys.argv[2])
import openai
client = openai.OpenAI(base_url=sys.argv[1])
asking = openai.AsyncOpenAI(base_url=sys.argv[1])
question = dict(messages=[{"role": "user", "content": "Hi."}])
create = client.chat.completions.create
"""
SILENT = {
    "streams": """
opened = create(model="hanging", stream=True, **question)
next(opened)
never_read = create(model="ok", stream=True, **question)
cycle = [create(model="hanging", stream=True, **question)]
cycle.append(cycle)
next(cycle[0])
del cycle
def read():
    with create(model="hanging", stream=True, **question) as stream:
        yield from stream
generator = read()
next(generator)
""",
    "an event loop": """
async def ask():
    global stream
    stream = await asking.chat.completions.create(model="hanging", stream=True, **question)
    await anext(aiter(stream))
loop = asyncio.new_event_loop()
loop.run_until_complete(ask())
task = loop.create_task(asking.chat.completions.create(model="silent", **question))
task._log_destroy_pending = False  # else asyncio has something to say
loop.run_until_complete(asyncio.sleep(0.05))
""",
    "threads": """
job = midspan.ProgressTracker()
started = threading.Barrier(5)
def stream():
    for count, chunk in enumerate(create(model="gated", stream=True, **question)):
        if count == 0:
            started.wait()
def call():
    create(model="ok", **question)
    started.wait()
    while True:
        create(model="ok", **question)
def report():
    started.wait()
    while True:
        job.update(message="on")
        job.advance()
def subscribe():
    started.wait()
    for operation in midspan.get_progress_registry().subscribe():
        pass
for target in (stream, call, report, subscribe):
    threading.Thread(target=target, daemon=True).start()
def later():
    time.sleep(0.2)
    create(model="ok", **question)
threading.Thread(target=later).start()
midspan.on_progress(lambda operation: None)
started.wait(20)
""",
    "os._exit": "stream = create(model='hanging', stream=True, **question); next(stream); os._exit(0)",
    "a call at exit": "import atexit; atexit.register(create, model='ok', **question)",
    "a stream, uninstrumented": """
stream = create(model="hanging", stream=True, **question)
next(stream)
midspan.uninstrument()
""",
}


@pytest.mark.parametrize("left", SILENT)
def test_the_end_of_the_interpreter_prints_nothing_whatever_is_left(left: str, tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        for _ in range(3):
            fake.gate.release()
        run(QUESTION + SILENT[left], fake.base_url, str(tmp_path / "spans"))


def test_what_an_exit_handler_of_the_app_raises_is_all_that_is_printed(tmp_path: Path) -> None:
    code = "import atexit\natexit.register(lambda: 1 / 0)\n"
    seen = ending(code, tmp_path / "spans")
    assert seen == ending(code, tmp_path / "none", MIDSPAN_ENABLED="false")
    assert "ZeroDivisionError" in seen[2] and "midspan" not in seen[2]
    assert (tmp_path / "spans").read_text() == f"{LOST}\n"


def test_no_resource_is_left_open_at_exit(tmp_path: Path) -> None:
    """Python's development mode and warnings as errors tell of any file, socket or loop that was not closed."""
    run(
        """
        import midspan
        from midspan.runtime.wiring import runtime
        from urllib.request import urlopen
        midspan.instrument(server="127.0.0.1:0")
        with urlopen(runtime().serving.server.url + "/v1/operations") as page:
            page.read()
        midspan.ProgressTracker().start()
        """,
        options=("-X", "dev", "-W", "error"),
    )


def test_a_reader_of_the_api_does_not_hold_the_exit_up() -> None:
    """A connection that is kept alive is closed, and the reader sees its end."""
    out = run(
        """
        import atexit, midspan, socket
        from midspan.runtime.wiring import runtime
        def told():  # after midspan's own end
            while client.recv(1000):
                pass
            print("closed")
        atexit.register(told)
        midspan.instrument(server="127.0.0.1:0")
        client = socket.create_connection(runtime().serving.server.address, timeout=20)
        client.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        assert client.recv(1)
        midspan.ProgressTracker().start()
        """
    )
    assert out == "closed\n"


def test_a_closed_pipe_of_ours_does_not_end_a_program_that_dies_of_sigpipe() -> None:
    """Command-line tools give SIGPIPE its default disposition back."""
    out = run(
        """
        import midspan, signal
        from midspan.runtime.feed import Feed, Pipe
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        midspan.instrument()
        reading, writing = os.pipe()
        os.close(reading)
        feed = Feed(midspan.get_progress_registry(), Pipe.of(writing))
        feed.start()
        midspan.ProgressTracker().complete()
        feed.close()
        print("alive")
        """
    )
    assert out == "alive\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="a thread's mask is read from /proc")
def test_the_server_thread_blocks_sigpipe_and_no_other_thread_does() -> None:
    out = run(
        """
        import midspan, signal, threading
        from midspan.runtime.wiring import runtime
        def blocks(thread):
            with open(f"/proc/self/task/{thread.native_id}/status") as status:
                (mask,) = [line.split()[1] for line in status if line.startswith("SigBlk")]
            return int(mask, 16) == 1 << signal.SIGPIPE - 1
        midspan.instrument(server="127.0.0.1:0")
        runtime().serving.server.settle()
        print([thread.name for thread in threading.enumerate() if blocks(thread)])
        """
    )
    assert out == "['midspan-server']\n"
