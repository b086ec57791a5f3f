"""The feed writes one JSON line a changed operation, and never holds up the process or writes anywhere else."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from midspan.runtime.feed import VARIABLE, Feed, Pipe, inherited_pipe
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

Eventually = Callable[..., None]


def test_each_operation_reaches_the_reader_with_its_end() -> None:
    registry = ProgressRegistry()
    read_end, write_end = os.pipe()
    feed = Feed(registry, Pipe.of(write_end))
    feed.start("http://127.0.0.1:1")
    with ProgressTracker("first", registry=registry):
        pass
    ProgressTracker("second", registry=registry).fail(ValueError("no"))
    feed.close()
    with os.fdopen(read_end) as pipe:
        announced, *rows = [json.loads(line) for line in pipe]
    assert announced == {"server": "http://127.0.0.1:1"}
    last = {row["operation_id"]: row for row in rows}
    assert last["first"]["status"] == "completed"
    assert last["second"]["error"] == {"type": "ValueError", "message": "no"}


def test_a_reader_that_went_away_ends_the_feed_quietly() -> None:
    registry = ProgressRegistry()
    read_end, write_end = os.pipe()
    os.close(read_end)
    feed = Feed(registry, Pipe.of(write_end))
    feed.start()
    ProgressTracker(registry=registry).complete()
    feed.close()
    assert "midspan-feed" not in {thread.name for thread in threading.enumerate()}
    assert not registry.watched


def test_a_reader_that_does_not_read_holds_neither_the_start_nor_the_end_up(eventually: Eventually) -> None:
    registry = ProgressRegistry()
    read_end, write_end = os.pipe()
    size = fcntl.fcntl(write_end, fcntl.F_GETPIPE_SZ)
    assert os.write(write_end, b"x" * size) == size
    feed = Feed(registry, Pipe.of(write_end))
    feed.start("http://127.0.0.1:1")
    ProgressTracker("waits", registry=registry).complete()
    feed.close(timeout=0.0)
    with os.fdopen(read_end, "rb") as pipe:
        assert pipe.read(size) == b"x" * size
        eventually(lambda: "midspan-feed" not in {thread.name for thread in threading.enumerate()})
        os.close(write_end)
        assert b'"waits"' in pipe.read()


def test_nothing_is_written_into_a_file_that_got_the_pipes_number(tmp_path: Path, eventually: Eventually) -> None:
    """A program that makes itself a daemon closes every descriptor, and opens its own files."""
    registry = ProgressRegistry()
    read_end, write_end = os.pipe()
    feed = Feed(registry, Pipe.of(write_end))
    feed.start()
    with (tmp_path / "own").open("wb") as own:
        os.dup2(own.fileno(), write_end)
        ProgressTracker(registry=registry).complete()
        eventually(lambda: not registry.watched)
        feed.close()
        os.fstat(write_end)
    assert (tmp_path / "own").read_bytes() == b""
    os.close(write_end)
    os.close(read_end)


def test_the_pipe_is_taken_once_and_not_passed_on() -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    environ = {VARIABLE: str(Pipe.of(write_end)), "OTHER": "stays"}
    assert inherited_pipe(environ) == Pipe.of(write_end)
    assert environ == {"OTHER": "stays"}
    assert not os.get_inheritable(write_end)
    assert inherited_pipe(environ) is None
    os.close(read_end)
    os.close(write_end)


def test_another_pipe_under_the_same_number_is_not_taken() -> None:
    read_end, write_end = os.pipe()
    named = str(Pipe.of(write_end))
    other_read, other_write = os.pipe()
    os.dup2(other_write, write_end)
    assert inherited_pipe({VARIABLE: named}) is None
    for descriptor in (read_end, write_end, other_read, other_write):
        os.close(descriptor)


@pytest.mark.parametrize(
    "value", ["9999:1:1", "x", "", "1", "-1:2:3", "1:2", "1:2:3:4", "\u0663:1:1", "9" * 30 + ":1:1"]
)
def test_a_variable_that_names_no_open_pipe_is_taken_away_and_ignored(value: str) -> None:
    environ = {VARIABLE: value}
    assert inherited_pipe(environ) is None
    assert environ == {}


def test_a_file_that_is_no_pipe_is_ignored() -> None:
    with open(os.devnull, "wb") as file:
        found = os.fstat(file.fileno())
        assert inherited_pipe({VARIABLE: f"{file.fileno()}:{found.st_dev}:{found.st_ino}"}) is None
