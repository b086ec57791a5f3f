"""Stalls and deadlines: noticed once, told at once, gone when the operation moves."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from midspan.core import estimate
from midspan.core.metrics import Reading
from midspan.core.operation import Status
from midspan.core.state import Counts, State
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import CallKind, start_call
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry


class Told:
    """A processor that knows nothing of stalls beside what the state says."""

    def __init__(self) -> None:
        self.stalled: list[bool] = []

    def on_start(self, state: State) -> None:
        pass

    def on_update(self, state: State) -> None:
        self.stalled.append(state.stalled)

    def on_end(self, state: State) -> None:
        pass


def types_of(registry: ProgressRegistry, operation_id: str = "op") -> list[str]:
    operation = registry.get(operation_id)
    assert operation is not None
    return [event.type for event in operation.history]


def test_a_stall_is_noticed_once_an_episode(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("op", stall_after=30)
    told = Told()
    registry.add_processor(told)
    tracker.start()
    for _ in range(2):
        tracker.update(message="on")
        for _ in range(100):
            registry.pulse(clock.advance(1.0))
    assert types_of(registry) == ["start", "update", "stall", "update", "resume", "stall"]
    assert sum(earlier != later for earlier, later in pairwise(told.stalled)) == 3


def test_a_stall_is_told_within_a_beat(registry: ProgressRegistry, clock: FakeClock) -> None:
    registry.create_tracker("op", stall_after=30).start()
    registry.pulse(clock.advance(30.0))
    assert "stall" not in types_of(registry)
    registry.pulse(clock.advance(0.1))
    assert types_of(registry)[-1] == "stall"


def test_readers_are_told_of_a_stall_and_of_its_end(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("op", stall_after=30)
    tracker.start()
    with registry.subscribe() as subscription:
        registry.pulse(clock.advance(1.0))
        subscription.take()
        registry.pulse(clock.advance(30.0))
        (stalled,) = subscription.take()
        registry.pulse(clock.advance(1.0))
        assert subscription.take() == []
        tracker.update(1)
        registry.pulse(clock.advance(1.0))
        (moving,) = subscription.take()
    assert (stalled.stalled, moving.stalled) == (True, False)
    assert stalled.sequence < moving.sequence


def test_a_stall_gives_a_new_sequence_so_that_a_cached_answer_is_none(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    tracker = registry.create_tracker("op", stall_after=30)
    tracker.start()
    before = tracker.get_progress_details()
    registry.pulse(clock.advance(31.0))
    after = tracker.get_progress_details()
    assert after.sequence == before.sequence + 1
    assert (after.progressed_at, after.updated_at) == (before.progressed_at, before.updated_at)


def test_what_has_not_started_and_what_has_ended_does_not_stall(registry: ProgressRegistry, clock: FakeClock) -> None:
    registry.create_tracker("pending", stall_after=1)
    tracker = registry.create_tracker("op", stall_after=10)
    tracker.start()
    tracker.complete()
    registry.pulse(clock.advance(100.0))
    assert "stall" not in types_of(registry, "pending") + types_of(registry)


def test_an_operation_that_ends_while_stalled_has_no_end_of_the_stall(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    tracker = registry.create_tracker("op", stall_after=10)
    tracker.start()
    registry.pulse(clock.advance(11.0))
    tracker.cancel("given up")
    registry.pulse(clock.advance(1.0))
    assert types_of(registry) == ["start", "stall", "end"]
    operation = registry.get("op")
    assert operation is not None
    assert not operation.stalled


def test_chunks_of_a_stream_end_a_stall(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("op", stall_after=10)
    counts = tracker.state.counts = Counts()
    tracker.start()
    registry.pulse(clock.advance(11.0))
    counts.singles += 1
    registry.pulse(clock.advance(1.0))
    assert types_of(registry) == ["start", "stall", "resume"]


def test_a_child_that_ends_is_progress_of_its_parent(registry: ProgressRegistry, clock: FakeClock) -> None:
    parent = registry.create_tracker("op", stall_after=10)
    parent.start()
    child = registry.create_tracker("child", parent=parent, stall_after=10)
    child.start()
    registry.pulse(clock.advance(11.0))
    child.complete()
    registry.pulse(clock.now)
    assert types_of(registry) == ["start", "stall", "resume"]


def test_a_parent_does_not_stall_while_something_below_it_works(registry: ProgressRegistry, clock: FakeClock) -> None:
    parent = registry.create_tracker("op", stall_after=10)
    parent.start()
    child = registry.create_tracker("child", parent=parent, stall_after=10)
    grandchild = registry.create_tracker("grandchild", parent=child, stall_after=100)
    child.start()
    grandchild.start()
    registry.pulse(clock.advance(11.0))
    assert types_of(registry) == ["start"]
    registry.pulse(clock.advance(100.0))
    assert types_of(registry) == ["start", "stall"]
    grandchild.update(progress=0.5)
    registry.pulse(clock.now)
    registry.pulse(clock.now)
    assert types_of(registry) == ["start", "stall", "resume"]


def test_stalls_do_not_push_stages_out_of_what_is_kept(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("op", stall_after=10)
    tracker.enter_stage("only")
    for number in range(10):
        registry.pulse(clock.advance(11.0))
        tracker.update(number)
        registry.pulse(clock.advance(1.0))
    tracker.complete()
    kept = types_of(registry)
    assert (len(kept), kept[0], kept[1], kept[-1]) == (8, "start", "stage", "end")


@pytest.mark.parametrize(("kind", "limit"), [("general", 60), ("batch", 100), ("fine_tuning", 60)])
def test_each_type_stalls_at_its_own_limit(clock: FakeClock, kind: str, limit: float) -> None:
    registry = ProgressRegistry(clock=clock, stall_after={"batch": 100})
    registry.create_tracker("op", kind).start()
    registry.pulse(clock.advance(limit))
    assert "stall" not in types_of(registry)
    registry.pulse(clock.advance(1.0))
    assert "stall" in types_of(registry)


def test_the_gauge_counts_what_is_stalled_now(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker(stall_after=10)
    tracker.start()
    registry.create_tracker(stall_after=1000).start()
    registry.pulse(clock.advance(11.0))
    assert sum(running.stalled for running in Reading.of(registry).running.values()) == 1
    tracker.update(1)
    assert sum(running.stalled for running in Reading.of(registry).running.values()) == 0


def test_a_deadline_is_over_after_it_and_not_at_it(registry: ProgressRegistry, clock: FakeClock) -> None:
    state = registry.create_tracker(deadline=60).state
    assert [estimate.past_deadline(state, clock.now + seconds) for seconds in (0, 60, 60.1)] == [False, False, True]


def test_without_a_deadline_nothing_is_said_about_it(registry: ProgressRegistry, clock: FakeClock) -> None:
    state = registry.create_tracker().state
    assert estimate.past_deadline(state, clock.now + 1e9) is None
    assert estimate.will_miss_deadline(state, 1e9, clock.now) is None


@pytest.mark.parametrize(
    ("now", "seconds", "wanted"),
    [(0, None, None), (0, 60, False), (0, 61, True), (50, 9, False), (50, 11, True), (61, None, True), (61, 0, True)],
)
def test_an_estimate_beyond_the_deadline_will_miss_it(
    registry: ProgressRegistry, clock: FakeClock, now: float, seconds: float | None, wanted: bool | None
) -> None:
    state = registry.create_tracker(deadline=60).state
    assert estimate.will_miss_deadline(state, seconds, clock.now + now) is wanted


def test_whether_an_ended_operation_was_late_does_not_change_any_more(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    deadline = datetime.fromtimestamp(clock.now + 60, UTC)
    in_time, late = (registry.create_tracker(deadline=deadline) for _ in range(2))
    clock.advance(59.0)
    in_time.complete()
    clock.advance(2.0)
    late.complete()
    assert [estimate.past_deadline(each.state, clock.advance(1000.0)) for each in (in_time, late)] == [False, True]
    assert late.status is Status.COMPLETED


@pytest.mark.parametrize(("stream", "limit"), [(False, 700.0), (True, 60.0)])
def test_a_call_that_is_not_streamed_stalls_at_its_clients_timeout(stream: bool, limit: float) -> None:
    registry = get_progress_registry()
    call = start_call(CallKind("chat", "openai", "m"), stream=stream, timeout=700.0)
    begun = call.state.progressed_at
    registry.pulse(begun + limit)
    assert "stall" not in types_of(registry, call.operation_id)
    registry.pulse(begun + limit + 1)
    assert "stall" in types_of(registry, call.operation_id)
    call.complete()
