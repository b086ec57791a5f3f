"""Statistics: counted by label set, bounded, and never lingering."""

from __future__ import annotations

from midspan.core.metrics import METRICS, Reading
from midspan.core.operation import Status
from midspan.core.statistics import MAX_ERROR_TYPES, MAX_MODELS, MAX_SERIES, OTHER, Series
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


def only(registry: ProgressRegistry) -> Series:
    (series,) = registry.statistics.series()
    return series


def test_starts_endings_and_failures_are_counted(registry: ProgressRegistry) -> None:
    trackers = [registry.create_tracker(name="job") for _ in range(5)]
    trackers[0].complete()
    trackers[1].fail(ValueError("x"))
    trackers[2].fail("as text")
    trackers[3].cancel()
    series = only(registry)
    assert series.started == 5
    assert {status: count for status, count in series.ended.items() if count} == {
        Status.COMPLETED: 1,
        Status.FAILED: 2,
        Status.CANCELLED: 1,
    }
    assert dict(series.failures) == {"ValueError": 1, "error": 1}


def test_every_ending_has_its_zero_from_the_start(registry: ProgressRegistry) -> None:
    registry.create_tracker()
    assert only(registry).ended == {
        Status.COMPLETED: 0,
        Status.FAILED: 0,
        Status.CANCELLED: 0,
        Status.LOST: 0,
    }


def test_durations_are_distributed(registry: ProgressRegistry, clock: FakeClock) -> None:
    for seconds in (0.05, 3, 3, 100_000):
        tracker = registry.create_tracker()
        tracker.start()
        clock.advance(seconds)
        tracker.complete()
    histogram = only(registry).durations[Status.COMPLETED]
    assert sum(histogram.counts) == 4
    assert (histogram.counts[0], histogram.counts[-1]) == (1, 1)
    assert abs(histogram.sum - 100_006.05) < 0.01


def test_an_exemplar_points_to_the_trace(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    registry.bind_span(tracker.state, "t" * 32, "s" * 16)
    tracker.complete()
    exemplars = list(only(registry).durations[Status.COMPLETED].exemplars.values())
    assert [(exemplar.trace_id, exemplar.span_id) for exemplar in exemplars] == [("t" * 32, "s" * 16)]


def test_label_sets_models_and_error_types_are_bounded(registry: ProgressRegistry) -> None:
    for number in range(MAX_SERIES + 50):
        registry.create_tracker(name=f"name{number}", model=f"model{number}").fail(
            type(f"Error{number}", (Exception,), {})()
        )
    series = registry.statistics.series()
    assert len(series) <= MAX_SERIES + 1
    assert len({row.labels.model for row in series}) <= MAX_MODELS + 1
    assert len({kind for row in series for kind in row.failures}) <= MAX_ERROR_TYPES + 1
    assert sum(row.started for row in series) == MAX_SERIES + 50
    assert OTHER in {row.labels.name for row in series}
    assert {"label_sets", "models", "error_types"} <= set(registry.statistics.suppressed)


def test_only_reported_tokens_are_counted(registry: ProgressRegistry) -> None:
    estimated, reported = registry.create_tracker(), registry.create_tracker()
    estimated.state.output_tokens = 500
    reported.state.input_tokens, reported.state.output_tokens, reported.state.tokens_reported = 7, 3, True
    estimated.complete()
    reported.complete()
    assert dict(only(registry).tokens) == {"input": 7, "output": 3}


def read(registry: ProgressRegistry, name: str) -> float | None:
    """The sum of one metric's points; None when it has none."""
    (metric,) = [metric for metric in METRICS if metric.name == name]
    points = [value for _, value in metric.read(Reading.of(registry))]
    return sum(points) if points else None


def test_what_runs_is_summed_up_when_it_is_read(registry: ProgressRegistry, clock: FakeClock) -> None:
    registry.create_tracker(stall_after=10, deadline=5).update(progress=0.5)
    clock.advance(20)
    registry.create_tracker(stall_after=10).update(message="unknown progress")
    assert read(registry, "midspan.operation.active") == 2
    assert read(registry, "midspan.operation.progress.ratio") == 0.5
    assert read(registry, "midspan.operation.stalled") == 1
    assert read(registry, "midspan.operation.past_deadline") == 1
    assert read(registry, "midspan.operation.oldest_start.timestamp") == clock.now - 20


def test_an_ended_operation_leaves_no_stale_series(registry: ProgressRegistry) -> None:
    registry.create_tracker(stall_after=10, deadline=5).update(progress=0.5)
    assert read(registry, "midspan.operation.active") == 1
    registry.get_active_trackers()[0].complete()
    for name in ("active", "stalled", "past_deadline"):
        assert read(registry, f"midspan.operation.{name}") == 0
    for name in ("progress.ratio", "oldest_start.timestamp", "oldest_progress.timestamp"):
        assert read(registry, f"midspan.operation.{name}") is None


def test_updates_of_running_and_ended_operations_add_up(registry: ProgressRegistry) -> None:
    ended, running = registry.create_tracker(), registry.create_tracker()
    for _ in range(3):
        ended.update(message="x")
        running.update(message="x")
    before = read(registry, "midspan.operation.updates")
    ended.complete()
    assert before == read(registry, "midspan.operation.updates") == 6
