"""Progress and remaining time: sources, ranges, and when they are unknown."""

from __future__ import annotations

import itertools

import pytest

from midspan.core.operation import Operation, Stage
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


def uniform(registry: ProgressRegistry, clock: FakeClock, steps: int, seconds: float = 1.0) -> Operation:
    tracker = registry.create_tracker(total_steps=10)
    tracker.start()
    for step in range(steps):
        clock.advance(seconds)
        tracker.update(step + 1)
    return tracker.get_progress_details()


def test_unknown_is_none(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker()
    tracker.update(message="on")
    clock.advance(10)
    details = tracker.get_progress_details()
    assert (details.progress, details.progress_source, details.percent_complete) == (None, None, None)
    assert (details.estimated_remaining_seconds, details.estimate) == (None, None)


@pytest.mark.parametrize("steps", [1, 3, 5, 9])
def test_uniform_work_takes_what_is_left_of_it(registry: ProgressRegistry, clock: FakeClock, steps: int) -> None:
    details = uniform(registry, clock, steps)
    assert details.estimated_remaining_seconds == pytest.approx(10 - steps)
    assert details.estimate is not None
    assert details.estimate.low <= details.estimated_remaining_seconds <= details.estimate.high
    assert details.estimate.method == "counts"


def test_more_progress_narrows_the_range(registry: ProgressRegistry, clock: FakeClock) -> None:
    wide, narrow = uniform(registry, clock, 2), uniform(registry, clock, 8)
    assert wide.estimate is not None
    assert narrow.estimate is not None

    def width(operation: Operation) -> float:
        return (operation.estimate.high - operation.estimate.low) / operation.estimated_remaining_seconds  # type: ignore

    assert width(narrow) < width(wide)


def test_recent_speed_counts_beside_the_overall_mean(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker(total_steps=100)
    tracker.start()
    for step in range(10):
        clock.advance(60)
        tracker.update(step + 1)
    for step in range(10, 30):
        clock.advance(2)
        tracker.update(step + 1)
    overall = 70 / (30 / (600 + 40))
    recent = 70 / 0.5
    remaining = tracker.get_progress_details().estimated_remaining_seconds
    assert remaining is not None
    assert recent < remaining < overall


def test_without_a_start_or_after_the_end_there_is_no_remaining_time(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    assert registry.create_tracker().get_progress_details().estimated_remaining_seconds is None
    tracker = registry.create_tracker(total_steps=2)
    tracker.update(1)
    clock.advance(1)
    tracker.complete()
    assert tracker.get_progress_details().estimated_remaining_seconds is None


def test_the_sources_have_an_order(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("p", "llm_request", total_steps=10, total=10)
    tracker.enter_stage(Stage.SENDING_REQUEST)
    seen = [tracker.get_progress_details().progress_source]
    tracker.advance(3)
    seen.append(tracker.get_progress_details().progress_source)
    tracker.update(progress=0.5)
    seen.append(tracker.get_progress_details().progress_source)
    assert seen == ["counts", "counts", "reported"]
    planned = registry.create_tracker("q", "llm_request", expect_children=1)
    assert planned.get_progress_details().progress_source == "children"
    planned = registry.create_tracker("r", "llm_request")
    planned.enter_stage(Stage.SENDING_REQUEST)
    assert planned.get_progress_details().progress_source == "stages"
    registry.create_tracker(parent="r").update(progress=0.9)
    assert planned.get_progress_details().progress_source == "stages"


def test_a_token_budget_is_a_limit_not_a_target(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker()
    tracker.state.max_tokens = 100
    tracker.enter_stage(Stage.STREAMING_RESPONSE)
    clock.advance(10)
    tracker.state.output_tokens = 50
    details = tracker.get_progress_details()
    assert (details.progress, details.progress_source) == (0.5, "token_budget")
    assert details.estimate is not None
    assert details.estimate.low == 0.0
    assert details.estimate.high >= 10.0


def test_stalled_is_a_running_operation_without_progress(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker(stall_after=30)
    clock.advance(100)
    assert not tracker.get_progress_details().stalled
    tracker.update(1)
    clock.advance(30)
    assert not tracker.get_progress_details().stalled
    clock.advance(1)
    assert tracker.get_progress_details().stalled
    tracker.update(2)
    assert not tracker.get_progress_details().stalled
    clock.advance(100)
    tracker.complete()
    assert not tracker.get_progress_details().stalled


def test_each_type_has_its_own_limit(clock: FakeClock) -> None:
    registry = ProgressRegistry(clock=clock, stall_after={"": 10, "batch": 100})
    assert [registry.stall_limit(kind) for kind in ("general", "batch")] == [10, 100]
    assert ProgressRegistry(clock=clock).stall_limit("anything") == 60


def test_the_token_rate_counts_from_the_first_chunk(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker()
    tracker.start()
    tracker.state.time_to_first_chunk = 2.0
    assert tracker.get_progress_details().tokens_per_second is None
    tracker.state.output_tokens = 40
    clock.advance(6)
    assert tracker.get_progress_details().tokens_per_second == pytest.approx(10)


def test_an_unknown_child_counts_nothing_until_it_has_ended(registry: ProgressRegistry) -> None:
    parent = registry.create_tracker(expect_children=2)
    child = registry.create_tracker(parent=parent)
    child.update(message="working")
    assert parent.get_progress_details().progress == 0.0
    child.complete()
    assert parent.get_progress_details().progress == 0.5


def test_operations_nested_a_thousand_deep_are_read_like_any_others(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    outermost = innermost = registry.create_tracker(expect_children=1)
    for _ in range(1000):
        innermost = registry.create_tracker(parent=innermost, expect_children=1)
        innermost.start()
    clock.advance(1000)
    assert outermost.get_progress_details().progress == 0.0
    assert innermost.get_progress_details().stalled
    assert innermost.state.parent_id is not None
    parent = registry.get(innermost.state.parent_id)
    assert parent is not None and parent.stalled
    innermost.update(progress=0.5)
    parent = registry.get(parent.operation_id)
    assert parent is not None and (parent.stalled, parent.progress) == (False, 0.5)
    assert len(registry.operations()) == 1001


@pytest.mark.parametrize("above", [["own"], ["one", "own"], ["two", "one", "own"]])
def test_an_operation_that_would_be_below_itself_has_no_parent(
    registry: ProgressRegistry, clock: FakeClock, above: list[str]
) -> None:
    for operation_id, parent in reversed(list(itertools.pairwise(above))):
        registry.create_tracker(operation_id, parent=parent)
    tracker = registry.create_tracker("own", parent=above[0], expect_children=1)
    tracker.start()
    clock.advance(1000)
    details = tracker.get_progress_details()
    assert (details.parent_id, details.root_id, details.progress, details.stalled) == (None, "own", 0.0, True)
