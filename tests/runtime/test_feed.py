"""The feed writes one JSON line a changed operation, and never holds up the process."""

from __future__ import annotations

import json
import os
import threading

from midspan.runtime.feed import Feed, inherited_pipe
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker


def test_each_operation_reaches_the_reader_with_its_end() -> None:
    registry = ProgressRegistry()
    read_end, write_end = os.pipe()
    feed = Feed(registry, write_end)
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
    feed = Feed(registry, write_end)
    feed.start()
    ProgressTracker(registry=registry).complete()
    feed.close()
    assert "midspan-feed" not in {thread.name for thread in threading.enumerate()}
    assert not registry.watched


def test_a_variable_that_names_no_pipe_is_taken_away_and_ignored(tmp_path: object) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        environ = {"MIDSPAN_FEED_FD": str(descriptor)}
        assert inherited_pipe(environ) is None
        assert environ == {}
    finally:
        os.close(descriptor)
    assert inherited_pipe({"MIDSPAN_FEED_FD": "9999"}) is None
    assert inherited_pipe({"MIDSPAN_FEED_FD": "x"}) is None
    assert inherited_pipe({}) is None
