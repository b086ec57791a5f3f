from __future__ import annotations

import pytest

from midspan.core import call_transitions
from midspan.core.retention import Limits
from midspan.core.statistics import MAX_MODELS, MAX_SERIES
from midspan.server.statistics import summary
from midspan.server.tally import Summary
from midspan.tracking.tracker import ProgressRegistry


def run(registry, clock, seconds: float, **options) -> None:
    tracker = registry.create_tracker(None, "llm_request", name="chat", **options)
    tracker.start()
    clock.advance(seconds)
    tracker.complete()


def durations(document: Summary) -> tuple[float | None, ...]:
    found = document.duration_seconds
    return found.count, found.p50, found.p95, found.p99


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
    assert durations(summary(registry)) == pytest.approx((100, 50.0, 95.0, 99.0))


def test_the_percentile_of_few_operations_is_rounded_up_to_one_of_them(registry, clock) -> None:
    for seconds in (1.0, 2.0, 3.0):
        run(registry, clock, seconds)
    assert durations(summary(registry)) == pytest.approx((3, 2.0, 3.0, 3.0))


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
    other = summary(registry).by_model["other"]
    assert (other.completed, other.duration_seconds.count) == (5, 5)


def test_counts_outlive_the_operations_and_durations_do_not(clock) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits(operations=2))
    for _ in range(5):
        run(registry, clock, 1.0)
    seen = summary(registry)
    assert (seen.completed, seen.duration_seconds.count) == (5, 2)


def test_a_window_leaves_out_what_ended_before_it(client, registry, clock) -> None:
    run(registry, clock, 2.0)
    clock.advance(3600)
    run(registry, clock, 4.0)
    registry.create_tracker("now").start()
    seen = client.get("/v1/statistics?window=1h").json()
    assert (seen["window_seconds"], seen["completed"], seen["running"], seen["started"]) == (3600, 1, 1, 2)
    assert seen["duration_seconds"]["count"] == 1
    assert seen["by_name"]["chat"]["completed"] == 1
    assert client.get("/v1/statistics").json()["completed"] == 2


@pytest.mark.parametrize("window", ["0", "1w", "", "-5"])
def test_a_wrong_window_is_a_problem_that_names_it(client, window: str) -> None:
    answer = client.get(f"/v1/statistics?window={window}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "window")


def stream(registry, clock, tokens: int = 0, **options) -> None:
    """A call that waits for 2 s, streams for 10 s, and is told of its usage."""
    tracker = registry.create_tracker(None, "llm_request", name="chat", **options)
    tracker.enter_stage("sending_request")
    clock.advance(2)
    tracker.apply(lambda state, now: call_transitions.first_chunk(state, now, "streaming_response"))
    clock.advance(10)
    if tokens:
        tracker.apply(lambda state, _: call_transitions.record_usage(state, 5, tokens))
    tracker.complete()


def test_streams_have_a_first_chunk_a_rate_and_stages(client, registry, clock) -> None:
    stream(registry, clock, 200)
    seen = client.get("/v1/statistics").json()
    assert seen["time_to_first_chunk_seconds"]["p50"] == pytest.approx(2)
    assert seen["tokens_per_second"]["p95"] == pytest.approx(20)
    assert seen["tokens"] == {"input": 5, "output": 200}
    stages = {stage: found["p50"] for stage, found in seen["stage_seconds"].items()}
    assert stages == pytest.approx({"sending_request": 2, "streaming_response": 10})
    assert set(seen["by_type"]["llm_request"]["stage_seconds"]) == set(stages)


@pytest.mark.parametrize("query", ["", "?window=1h"])
def test_estimated_tokens_are_not_counted(client, registry, clock, query: str) -> None:
    stream(registry, clock)
    assert client.get(f"/v1/statistics{query}").json()["tokens"] == {"input": 0, "output": 0}


def test_running_streams_have_a_rate_together(client, registry, clock) -> None:
    for _ in range(2):
        tracker = registry.create_tracker(None, "llm_request")
        tracker.start()
        tracker.apply(lambda state, now: call_transitions.first_chunk(state, now, "streaming_response"))
        tracker.apply(lambda state, _: call_transitions.record_usage(state, 5, 100))
    clock.advance(10)
    assert client.get("/v1/statistics").json()["running_tokens_per_second"] == pytest.approx(20)


def test_first_estimates_are_compared_with_what_came(client, registry, clock) -> None:
    tracker = registry.create_tracker("one", total_steps=10)
    tracker.update(0)
    clock.advance(2)
    tracker.update(5)
    registry.pulse(clock())
    clock.advance(6)
    tracker.complete()
    assert client.get("/v1/statistics").json()["estimate_error_seconds"] == {"counts": {"count": 1, "mean": 4.0}}


def test_values_beyond_the_limit_are_together_in_a_window_too(registry, clock) -> None:
    for number in range(MAX_SERIES + 5):
        run(registry, clock, 1.0, model=f"model-{number}")
    groups = summary(registry, window=1e6).by_model
    assert (len(groups), groups["other"].completed) == (MAX_SERIES + 1, 5)
