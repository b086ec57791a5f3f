"""How operations end: once, and what becomes of them then."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from midspan.core import endings
from midspan.core.operation import Status
from midspan.core.processor import Processor
from midspan.core.state import State
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


def test_what_was_dropped_is_ended_by_the_next_look(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a")
    registry.drop(tracker.state, Status.CANCELLED, "abandoned")
    assert tracker.status is Status.PENDING
    operation = registry.get("a")
    assert operation is not None
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "abandoned")


def test_ended_operations_are_removed_one_by_one_or_by_age(registry: ProgressRegistry, clock: FakeClock) -> None:
    for name, end in (("a", "complete"), ("b", "fail"), ("c", "complete")):
        getattr(registry.create_tracker(name), end)()
        clock.advance(10)
    registry.create_tracker("running")
    assert registry.remove("a")
    assert not registry.remove("a")
    assert not registry.remove("running")
    assert registry.cleanup(statuses=["completed"]) == 1
    assert {o.operation_id for o in registry.operations()} == {"b", "running"}


def test_an_ended_operation_reads_as_it_was(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("a", total_steps=3, metadata={"k": [1]})
    tracker.update(1, "one")
    clock.advance(2)
    tracker.complete("done", result={"rows": 3})
    live = tracker.get_progress_details()
    clock.advance(100)
    assert registry.get("a") == live
    assert (live.result, live.elapsed_seconds) == ({"rows": 3}, 2.0)


def test_a_reader_is_not_held_up_by_a_thread_that_settles_and_waits_for_a_lock_of_the_reader(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal handler is that comes while its thread holds the lock."""
    monkeypatch.setattr(endings, "SETTLED_WITHIN", 0.01)
    settles, found = threading.Event(), list[str]()

    class Settles(Processor):
        def on_settle(self, states: Sequence[State]) -> None:
            settles.set()

    def handler() -> None:
        with tracker.state.lock:
            threading.Thread(target=registry.settle, daemon=True).start()
            settles.wait(20)
            found.extend(operation.operation_id for operation in registry.operations())

    tracker = registry.create_tracker("a")
    tracker.complete()
    registry.add_processor(Settles())
    thread = threading.Thread(target=handler, daemon=True)
    thread.start()
    thread.join(20)
    assert found == ["a"]


def test_an_abandoned_operation_under_locks_of_this_thread_is_only_noted(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a")
    with registry._lock, tracker.state.lock:
        registry.drop(tracker.state, Status.CANCELLED, "dropped")
    registry.reap()
    assert tracker.status is Status.CANCELLED
