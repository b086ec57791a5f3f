from __future__ import annotations

import pytest

from midspan.core.retention import Limits
from midspan.core.statistics import MAX_MODELS
from midspan.server.statistics import summary
from midspan.tracking.tracker import ProgressRegistry


def run(registry, clock, seconds: float, **options) -> None:
    tracker = registry.create_tracker(None, "llm_request", name="chat", **options)
    tracker.start()
    clock.advance(seconds)
    tracker.complete()


def test_an_empty_registry_has_zeros_and_unknowns(client) -> None:
    seen = client.get("/v1/statistics").json()
    assert (seen["started"], seen["running"], seen["stalled"], seen["success_rate"]) == (0, 0, 0, None)
    assert seen["duration_seconds"] == {"count": 0, "p50": None, "p95": None, "p99": None}
    assert {} == seen["by_type"] == seen["by_provider"] == seen["by_model"] == seen["by_name"]


def test_every_status_is_counted(client, registry) -> None:
    registry.create_tracker()
    registry.create_tracker().start()
    for ending in ("complete", "complete", "fail", "cancel"):
        getattr(registry.create_tracker(), ending)()
    seen = client.get("/v1/statistics").json()
    counted = {status: seen[status] for status in ("pending", "running", "completed", "failed", "cancelled", "lost")}
    assert counted == {"pending": 1, "running": 1, "completed": 2, "failed": 1, "cancelled": 1, "lost": 0}
    assert seen["started"] == 6


def test_a_cancelled_operation_does_not_count_in_the_success_rate(client, registry) -> None:
    for ending in ("complete", "complete", "complete", "fail", "cancel"):
        getattr(registry.create_tracker(), ending)()
    assert client.get("/v1/statistics").json()["success_rate"] == 0.75


def test_an_operation_without_progress_is_counted_as_stalled_until_it_moves(client, registry, clock) -> None:
    tracker = registry.create_tracker(stall_after=10)
    tracker.start()
    clock.advance(11)
    assert client.get("/v1/statistics").json()["stalled"] == 1
    tracker.update(message="on")
    assert client.get("/v1/statistics").json()["stalled"] == 0


def test_percentiles_are_durations_that_were_measured(registry, clock) -> None:
    for seconds in range(100, 0, -1):
        run(registry, clock, float(seconds))
    found = summary(registry)["duration_seconds"]
    assert pytest.approx(found) == {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_the_percentile_of_few_operations_is_rounded_up_to_one_of_them(registry, clock) -> None:
    for seconds in (1.0, 2.0, 3.0):
        run(registry, clock, seconds)
    assert summary(registry)["duration_seconds"] == pytest.approx({"count": 3, "p50": 2.0, "p95": 3.0, "p99": 3.0})


def test_groups_have_their_own_counts_and_durations(client, registry, clock) -> None:
    run(registry, clock, 1.0, provider="openai", model="small")
    run(registry, clock, 3.0, provider="openai", model="large")
    registry.create_tracker(None, "batch", name="import").fail()
    seen = client.get("/v1/statistics").json()
    assert {"llm_request", "batch"} == set(seen["by_type"])
    assert {"openai"} == set(seen["by_provider"])
    assert {"small", "large"} == set(seen["by_model"])
    assert {"chat", "import"} == set(seen["by_name"])
    assert (seen["by_type"]["llm_request"]["completed"], seen["by_type"]["llm_request"]["success_rate"]) == (2, 1.0)
    assert (seen["by_type"]["batch"]["failed"], seen["by_type"]["batch"]["success_rate"]) == (1, 0.0)
    assert pytest.approx(seen["by_model"]["large"]["duration_seconds"]["p50"]) == 3.0


def test_models_beyond_the_limit_are_together_under_other(registry, clock) -> None:
    for number in range(MAX_MODELS + 5):
        run(registry, clock, 1.0, model=f"model-{number}")
    other = summary(registry)["by_model"]["other"]
    assert (other["completed"], other["duration_seconds"]["count"]) == (5, 5)


def test_counts_outlive_the_operations_and_durations_do_not(clock) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits(operations=2))
    for _ in range(5):
        run(registry, clock, 1.0)
    seen = summary(registry)
    assert (seen["completed"], seen["duration_seconds"]["count"]) == (5, 2)
