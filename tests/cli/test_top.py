"""`midspan top` on a terminal of its own, and without one, beside a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from midspan.tracking.tracker import ProgressTracker
from tests.cli.served import Served
from tests.cli.terminals import LEAVE_FULL_SCREEN, Terminal
from tests.programs import free_port

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    made = Served()
    yield made
    made.stop()


@pytest.fixture
def served(server: Served) -> Served:
    server.registry.clear()
    return server


class Top:
    """`midspan top` on a terminal of 100 columns and 24 lines."""

    def __init__(self, start: Start, url: str, eventually: Eventually) -> None:
        self.terminal = Terminal()
        self.type = self.terminal.type
        self.eventually = eventually
        self._modes = self.terminal.modes
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self.terminal.theirs)
        self.process = start("top", url, env={"TERM": "xterm-256color"}, **ends)

    def shows(self, *parts: str) -> None:
        """Wait until all of them are on the screen."""
        self.eventually(lambda: all(part in self.terminal.screen for part in parts), 30.0, lambda: self.terminal.screen)

    def ends(self) -> int:
        """Its exit status, with the terminal as it was before."""
        status = self.process.wait(20)
        assert self.terminal.modes == self._modes
        self.eventually(lambda: self.terminal.seen.endswith(LEAVE_FULL_SCREEN))
        return status

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.terminal.close()


@pytest.fixture
def top(start: Start, served: Served, eventually: Eventually) -> Iterator[Top]:
    made = Top(start, served.url, eventually)
    yield made
    made.close()


def job(served: Served, name: str) -> ProgressTracker:
    tracker = served.registry.create_tracker(name=name, total_steps=4)
    tracker.update(1, "one of four")
    return tracker


def test_the_table_moves_with_the_operations(top: Top, served: Served) -> None:
    top.shows("no operations yet")
    tracker = job(served, "nightly")
    top.shows("1 running", "nightly", "25 %")
    tracker.complete()
    top.shows("0 running · 1 ended", "completed")
    top.type("q")
    assert top.ends() == 0


def test_keys_filter_choose_and_show_one(top: Top, served: Served) -> None:
    for name in ("nightly", "import"):
        job(served, name)
    top.shows("nightly", "import")
    top.type("/night\r")
    top.shows("filter: night")
    assert "import" not in top.terminal.screen
    top.type("\r")
    top.shows("history", "one of four", "general")
    top.type("\x1b")
    top.shows("enter detail")
    top.type("?")
    top.shows("ask it to stop")


def test_an_operation_is_asked_to_stop_after_a_question(top: Top, served: Served, eventually: Eventually) -> None:
    tracker = job(served, "nightly")
    assert not tracker.cancel_requested
    top.shows("nightly")
    top.type("c")
    top.shows("ask nightly to stop? y/n")
    top.type("n")
    top.shows("not cancelled")
    assert not tracker.cancel_requested
    top.type("c")
    top.shows("y/n")
    top.type("y")
    eventually(lambda: tracker.cancel_requested)
    top.shows("asked to cancel")


def test_another_size_is_drawn_at_once(top: Top, served: Served) -> None:
    job(served, "nightly")
    top.shows("nightly", "rate")
    top.terminal.resize(10, 60)
    top.process.send_signal(signal.SIGWINCH)
    top.shows("nightly")
    top.eventually(lambda: top.terminal.screen.count("\n") == 9 and "rate" not in top.terminal.screen)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_clean_terminal(top: Top, number: int, status: int) -> None:
    top.shows("no operations yet")
    top.process.send_signal(number)
    assert top.ends() == status


def test_an_exception_leaves_a_clean_terminal(start: Start, served: Served, eventually: Eventually) -> None:
    """Of ours, while it draws: the traceback comes after the screen was given back."""
    broken = "import midspan.cli.top_view as v; v.screen = lambda *_: 1 / 0; from midspan.cli import main; main()"
    terminal = Terminal()
    modes, theirs = terminal.modes, terminal.theirs
    env = {**os.environ, "TERM": "xterm-256color"}
    words = [sys.executable, "-c", broken, "top", served.url]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    assert process.wait(20) == 1
    eventually(lambda: "ZeroDivisionError" in terminal.seen.rpartition(LEAVE_FULL_SCREEN)[2])
    assert terminal.modes == modes
    terminal.close()


def test_a_server_that_restarts_is_waited_for(start: Start, eventually: Eventually) -> None:
    served = Served()
    top = Top(start, served.url, eventually)
    try:
        job(served, "before")
        top.shows("before")
        served.stop()
        top.shows("trying again")
        served.again()
        job(served, "after")
        top.shows("after", "1 running", "enter detail")
    finally:
        top.close()
        served.stop()


def test_without_a_terminal_there_is_one_line_a_change(start: Start, served: Served) -> None:
    tracker = job(served, "nightly")
    with start("top", served.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("nightly [")
        tracker.complete()
        assert "completed" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr is not None and process.stderr.read() == ""


def test_a_reader_that_has_enough_ends_it(start: Start, served: Served) -> None:
    job(served, "nightly")
    with start("top", served.url) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        job(served, "more")
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_an_address_where_nobody_answers_is_one_line(run: Run) -> None:
    done = run("top", f"127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and "Connection refused" in done.stderr


def test_a_wanted_token_is_one_line_and_is_taken_from_the_environment(run: Run, start: Start) -> None:
    served = Served(token="secret")
    try:
        refused = run("top", served.url)
        assert refused.returncode == 1 and "MIDSPAN_TOKEN" in refused.stderr and refused.stderr.count("\n") == 1
        job(served, "nightly")
        for words, env in ((["--token", "secret"], {}), ([], {"MIDSPAN_TOKEN": "secret"})):
            with start("top", *words, served.url, env=env) as process:
                assert process.stdout is not None and "nightly" in process.stdout.readline()
                process.terminate()
    finally:
        served.stop()
