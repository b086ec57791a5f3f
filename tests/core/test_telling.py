"""Who is told: only of what it has a method for, and the rest in spite of one that fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from midspan.core import failures
from midspan.core.processor import Processor
from midspan.core.state import State
from midspan.core.subscription import Subscription
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


class Partial(Processor):
    """A processor that only wants to know of the end, and of the settling."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_end(self, state: State) -> None:
        self.calls.append(f"end {state.status}")

    def on_settle(self, states: Sequence[State]) -> None:
        self.calls += [f"settle {state.series is not None}" for state in states]


def test_what_a_processor_leaves_out_is_not_called(registry: ProgressRegistry) -> None:
    registry.add_processor(Partial())
    audience = registry._audience
    assert (len(audience.start), len(audience.update), len(audience.end), len(audience.settle)) == (0, 0, 1, 1)
    registry.remove_processor(registry._processors[0])
    assert registry._audience.end == ()


def test_a_processor_is_told_when_an_ended_operation_is_about_to_be_counted(registry: ProgressRegistry) -> None:
    partial = Partial()
    registry.add_processor(partial)
    registry.create_tracker("a").complete()
    assert partial.calls == ["end completed"]
    assert registry.statistics.series()[0].started == 1
    assert partial.calls == ["end completed", "settle True"]


def test_a_processor_that_fails_at_settling_loses_no_count(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Sequence[State]) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(failures, "raising", False)
    partial = Partial()
    monkeypatch.setattr(partial, "on_settle", fail)
    registry.add_processor(partial)
    registry.create_tracker("a").complete()
    assert sum(registry.statistics.series()[0].ended.values()) == 1
    assert registry.retention.get("a") is not None
    assert failures.counts() == {"processor": 1}


def test_one_operation_that_cannot_be_looked_at_does_not_stop_the_pulse(
    registry: ProgressRegistry, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    broken, sound = registry.create_tracker("broken"), registry.create_tracker("sound")
    seen: list[str] = []

    class Watcher(Processor):
        def on_update(self, state: State) -> None:
            seen.append(state.operation_id)

    for tracker in (broken, sound):
        tracker.update(1)
        tracker.update(2)
    registry.add_processor(Watcher())
    broken.state.stall_after = None  # type: ignore[assignment]
    registry.pulse(clock.advance(1))
    assert seen == ["sound"]
    assert failures.counts() == {"pulse": 1}


def test_no_subscription_is_lost_when_two_begin_at_the_same_time(registry: ProgressRegistry) -> None:
    found: list[Subscription] = []
    threads = [threading.Thread(target=lambda: found.append(registry.subscribe())) for _ in range(2)]
    with registry._lock:
        for thread in threads:
            thread.start()
            thread.join(0.02)  # both are on their way, as far as they get
    for thread in threads:
        thread.join()
    registry.create_tracker("one").start()
    assert [len(each.take()) for each in found] == [1, 1]


def test_the_first_reader_is_told_of_and_no_other(registry: ProgressRegistry) -> None:
    told: list[bool] = []
    registry.on_watched = lambda: told.append(registry.watched)
    with registry.subscribe(), registry.subscribe():
        assert told == [True]
    with registry.subscribe():
        assert told == [True, True]
