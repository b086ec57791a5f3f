"""Series of single operations: which ones, how many, and how many new ids."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from midspan.telemetry.prometheus import MetricsPage
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry

LAST_PROGRESS = "midspan_live_operation_last_progress_timestamp_seconds"


def live(page: MetricsPage) -> dict[tuple[str, str], Sample]:
    """Samples of live series by (metric, operation id)."""
    return {
        (sample.name, sample.labels["operation_id"]): sample
        for family in parse_text(page()[0].decode())
        for sample in family.samples
        if sample.name.startswith("midspan_live_")
    }


def shown(page: MetricsPage) -> list[str]:
    return [operation_id for name, operation_id in live(page) if name == LAST_PROGRESS]


def start(registry: ProgressRegistry, operation_id: str, operation_type: str = "batch") -> None:
    registry.create_tracker(operation_id, operation_type).start()


def test_a_long_operation_shows_its_progress_its_times_and_its_stage(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    begun = clock.now
    tracker = registry.create_tracker("job", "batch", 10, deadline=100.0)
    tracker.update(step=0)
    clock.advance(20.0)
    tracker.update(step=5)
    tracker.enter_stage("processing_response")
    clock.advance(20.0)
    found = live(MetricsPage(registry))
    values = {name.removeprefix("midspan_live_operation_"): sample.value for (name, _), sample in found.items()}
    eta = values.pop("eta_timestamp_seconds")
    assert values == {
        "progress_ratio": 0.5,
        "last_progress_timestamp_seconds": begun + 20.0,
        "deadline_timestamp_seconds": begun + 100.0,
        "stage": 1.0,
    }
    assert eta > clock.now
    assert found["midspan_live_operation_stage", "job"].labels["midspan_stage"] == "processing_response"


def test_what_is_unknown_has_no_series(registry: ProgressRegistry, clock: FakeClock) -> None:
    start(registry, "job")
    clock.advance(31.0)
    assert set(live(MetricsPage(registry))) == {(LAST_PROGRESS, "job")}


def test_calls_are_never_shown_and_others_only_after_thirty_seconds(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    page = MetricsPage(registry)
    start(registry, "call", "llm_request")
    start(registry, "vector", "embedding")
    start(registry, "tune", "fine_tuning")
    registry.create_tracker("pending", "batch")
    clock.advance(30.0)
    assert shown(page) == []
    clock.advance(0.5)
    assert shown(page) == ["tune"]


def test_an_operation_that_has_ended_leaves_no_series(registry: ProgressRegistry, clock: FakeClock) -> None:
    page = MetricsPage(registry)
    start(registry, "job")
    clock.advance(31.0)
    assert shown(page) == ["job"]
    tracker = registry.get_tracker("job")
    assert tracker is not None
    tracker.complete()
    assert live(page) == {}


@pytest.mark.parametrize("limit", [20, 3])
def test_only_the_oldest_are_shown(registry: ProgressRegistry, clock: FakeClock, limit: int) -> None:
    for number in range(25):
        start(registry, f"job-{number:02}")
    clock.advance(31.0)
    assert shown(MetricsPage(registry, live_series=limit)) == [f"job-{number:02}" for number in range(limit)]


def test_none_are_shown_when_switched_off(registry: ProgressRegistry, clock: FakeClock) -> None:
    start(registry, "job")
    clock.advance(31.0)
    assert b"midspan_live" not in MetricsPage(registry, live_series=0)()[0]


def test_at_most_two_hundred_new_ids_appear_in_an_hour_and_the_rest_is_counted(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    page = MetricsPage(registry)

    def ten_more(first: int) -> list[str]:
        for number in range(first, first + 10):
            start(registry, f"job-{number}")
        clock.advance(31.0)
        seen = shown(page)
        assert shown(page) == seen
        for number in range(first, first + 10):
            tracker = registry.get_tracker(f"job-{number}")
            assert tracker is not None
            tracker.complete()
        return seen

    ids = {operation_id for first in range(0, 300, 10) for operation_id in ten_more(first)}
    assert len(ids) == 200
    body = page()[0].decode()
    assert 'midspan_series_suppressed_total{reason="live_operations"} 100.0' in body
    clock.advance(3600.0)
    assert len(ten_more(300)) == 10
