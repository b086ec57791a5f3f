"""The parts of midspan in one process: what is taken away, in an order in which nothing gets lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

import midspan_instrumentation
from midspan.runtime.feed import Feed, Pipe
from midspan.runtime.parts import Runtime
from midspan.settings import Settings
from midspan.tracking.tracker import ProgressRegistry


@pytest.fixture
def parts(registry: ProgressRegistry) -> Iterator[Runtime]:
    made = Runtime(registry)
    yield made
    made.switch_off()


@pytest.fixture
def read_end(parts: Runtime) -> Iterator[int]:
    """Where `midspan run` would read; nothing beats meanwhile."""
    reads, writes = os.pipe()
    parts.feed = Feed(parts.registry, Pipe.of(writes))
    parts.feed.start()
    yield reads
    os.close(reads)


def test_what_has_changed_since_the_last_beat_reaches_midspan_run_before_it_is_told_no_more(
    parts: Runtime, read_end: int
) -> None:
    tracker = parts.registry.create_tracker("job", total_steps=9)
    tracker.start()
    with open(read_end, closefd=False) as lines:
        assert json.loads(lines.readline())["step"] is None
        tracker.update(7)
        parts.stop()
        assert [json.loads(line)["step"] for line in lines] == [7]
    assert parts.feed is None


def test_no_call_is_seen_any_more_by_the_time_the_recorder_of_spans_goes(
    parts: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def says(word: str) -> Callable[..., None]:
        return lambda *_: order.append(word)

    monkeypatch.setattr(midspan_instrumentation, "apply", says("hooks on"))
    monkeypatch.setattr(midspan_instrumentation, "undo", says("hooks off"))
    monkeypatch.setattr(parts.recording, "start", says("recorder on"))
    monkeypatch.setattr(parts.recording, "stop", says("recorder off"))
    parts.switch_on(Settings(), None, None)
    assert parts.patched
    parts.switch_off()
    assert order == ["recorder on", "hooks on", "hooks off", "recorder off"]
    assert not parts.patched
