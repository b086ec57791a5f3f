"""The pulse publishes what writers only counted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from midspan.core.state import Counts
from midspan.runtime.pulse import Pulse
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

Eventually = Callable[..., None]


def test_a_beat_takes_over_what_a_stream_counted(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = ProgressTracker(registry=registry)
    tracker.start()
    counts = tracker.state.counts = Counts()
    with registry.subscribe() as subscription:
        counts.singles, counts.others = 5, 2
        assert subscription.take() == []
        Pulse(registry).beat()
        (operation,) = subscription.take()
    assert operation.chunks == 7
    assert operation.tokens is not None and operation.tokens.output == 5 and operation.tokens.estimated


def test_a_beat_without_a_change_tells_nobody(registry: ProgressRegistry) -> None:
    ProgressTracker(registry=registry).start()
    pulse = Pulse(registry)
    pulse.beat()
    with registry.subscribe() as subscription:
        pulse.beat()
        assert subscription.take() == []


def test_the_thread_publishes_by_itself_and_ends_when_stopped(eventually: Eventually) -> None:
    registry = ProgressRegistry()
    pulse = Pulse(registry)
    pulse.start()
    try:
        tracker = ProgressTracker(registry=registry, total_steps=3)
        with registry.subscribe() as subscription:
            tracker.update(1)
            tracker.update(2)
            eventually(lambda: any(operation.step == 2 for operation in subscription.wait(0.2)))
    finally:
        pulse.stop()
    assert "midspan-pulse" not in {thread.name for thread in threading.enumerate()}


def test_the_first_reader_need_not_wait_for_the_slow_beat(
    eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midspan.runtime.pulse.IDLE_SECONDS", 3600.0)
    registry = ProgressRegistry()
    tracker = ProgressTracker(registry=registry)
    tracker.start()
    counts = tracker.state.counts = Counts()
    pulse = Pulse(registry)
    pulse.start()
    try:
        with registry.subscribe() as subscription:
            counts.singles = 7
            eventually(lambda: any(operation.chunks == 7 for operation in subscription.wait(0.2)))
    finally:
        pulse.stop()
    assert registry.on_watched is None


def test_a_stopped_pulse_starts_again(eventually: Eventually) -> None:
    registry = ProgressRegistry()
    beats: list[int] = []
    pulse = Pulse(registry, lambda: beats.append(1))
    for _ in range(2):
        beats.clear()
        pulse.start()
        with registry.subscribe():
            eventually(lambda: len(beats) > 1)
        pulse.stop()


def test_an_operation_dropped_in_the_garbage_collector_ends_at_the_next_beat(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker(registry=registry)
    tracker.start()
    registry.drop(tracker.state, tracker.status.CANCELLED, "dropped")
    assert not tracker.is_ended
    Pulse(registry).beat()
    assert tracker.get_progress_details().status_reason == "dropped"


def test_old_operations_are_forgotten_by_the_beat(registry: ProgressRegistry, clock: FakeClock) -> None:
    ProgressTracker("old", registry=registry).complete()
    clock.advance(3601)
    Pulse(registry).beat()
    assert registry.get("old") is None
    assert registry.retention.evicted == 1
