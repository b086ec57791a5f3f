"""The metrics page: names, labels, values, exemplars, and what stays of operations that have ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from midspan.core import failures
from midspan.core.metrics import METRICS, Metric, Reading
from midspan.core.state import State
from midspan.telemetry import prometheus
from midspan.telemetry.prometheus import MetricsPage, register, unregister
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import CallTracker
from midspan.tracking.tracker import ProgressRegistry

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MakeCall = Callable[..., CallTracker]

COMMON = {"midspan_operation_type", "midspan_operation_name", "gen_ai_provider_name", "gen_ai_request_model"}
TABLE: dict[str, tuple[str, set[str]]] = {
    "midspan_operation_active": ("gauge", COMMON | {"midspan_stage"}),
    "midspan_operation_started_total": ("counter", COMMON),
    "midspan_operation_ended_total": ("counter", COMMON | {"midspan_status"}),
    "midspan_operation_failures_total": ("counter", COMMON | {"error_type"}),
    "midspan_operation_duration_seconds": ("histogram", COMMON | {"midspan_status"}),
    "midspan_stage_duration_seconds": ("histogram", COMMON | {"midspan_stage"}),
    "midspan_time_to_first_chunk_seconds": ("histogram", COMMON),
    "midspan_tokens_total": ("counter", COMMON | {"gen_ai_token_type"}),
    "midspan_operation_updates_total": ("counter", COMMON),
    "midspan_operation_progress_ratio": ("gauge", COMMON),
    "midspan_operation_oldest_start_timestamp_seconds": ("gauge", COMMON),
    "midspan_operation_oldest_progress_timestamp_seconds": ("gauge", COMMON),
    "midspan_operation_stall_after_seconds": ("gauge", COMMON),
    "midspan_operation_stalled": ("gauge", COMMON),
    "midspan_operation_past_deadline": ("gauge", COMMON),
    "midspan_attempts_total": ("counter", COMMON | {"error_type"}),
    "midspan_estimate_error_seconds": ("histogram", COMMON | {"midspan_estimate_method"}),
    "midspan_internal_errors_total": ("counter", {"midspan_component"}),
    "midspan_series_suppressed_total": ("counter", {"reason"}),
    "midspan_live_operation_progress_ratio": ("gauge", COMMON | {"operation_id"}),
    "midspan_live_operation_last_progress_timestamp_seconds": ("gauge", COMMON | {"operation_id"}),
    "midspan_live_operation_eta_timestamp_seconds": ("gauge", COMMON | {"operation_id"}),
    "midspan_live_operation_deadline_timestamp_seconds": ("gauge", COMMON | {"operation_id"}),
    "midspan_live_operation_stage": ("gauge", COMMON | {"operation_id", "midspan_stage"}),
    "midspan_build_info": ("gauge", {"version", "python"}),
}
"""Every family that is ours, as Prometheus's text format shows it: its type, and the labels of its samples."""


def samples(page: MetricsPage) -> list[Sample]:
    body, _ = page()
    return [sample for family in parse_text(body.decode()) for sample in family.samples]


def values(page: MetricsPage, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by the given labels."""
    return {tuple(s.labels[label] for label in labels): s.value for s in samples(page) if s.name == name}


def failure_of_ours() -> None:
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        failures.report("test")


@pytest.fixture
def page(registry: ProgressRegistry) -> MetricsPage:
    return MetricsPage(registry)


@pytest.fixture
def busy(
    registry: ProgressRegistry, clock: FakeClock, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Operations of which every family has something to show."""
    monkeypatch.setattr(failures, "raising", False)
    failure_of_ours()
    registry.statistics.suppressed["models"] += 1
    call = make_call()
    call.enter_stage("sending_request")
    clock.advance(2.0)
    call.first_chunk()
    call.record_usage(input=10, output=20)
    call.complete()
    make_call().fail(ValueError("no"))
    job = registry.create_tracker("job-1", "batch", 10, name="import", deadline=60.0)
    job.update(step=1, stage="sorting")
    guess = registry.create_tracker("job-2", "batch", 10, name="import")
    for step in (1, 2):
        clock.advance(20.0)
        job.update(step=step)
        guess.update(step=step)
        registry.pulse(clock.now)
    guess.complete()
    return


# --- names and formats -----------------------------------------------------------------------------


@pytest.mark.usefixtures("busy")
def test_every_metric_has_the_name_the_type_and_the_labels_of_the_table(page: MetricsPage) -> None:
    found: dict[str, tuple[str, set[str]]] = {}
    for family in parse_text(page()[0].decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if name.startswith("midspan"):
            found[name] = (family.type, labels)
            assert family.documentation
    assert found == TABLE


@pytest.mark.usefixtures("busy")
def test_openmetrics_has_the_same_families_with_their_units(page: MetricsPage) -> None:
    families = [family for family in parse_openmetrics(page(OPENMETRICS)[0].decode()) if "midspan" in family.name]
    named = {
        family.name + {"counter": "_total", "info": "_info"}.get(family.type, ""): family.unit for family in families
    }
    assert set(named) == set(TABLE)
    assert {name for name, unit in named.items() if unit == "seconds"} == {
        name for name in TABLE if name.endswith("_seconds")
    }


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4"),
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4", "application/openmetrics-text"),
    ],
)
def test_the_accept_header_chooses_the_format(page: MetricsPage, accept: str | None, content_type: str) -> None:
    body, found = page(accept)
    assert found.startswith(content_type)
    assert body.endswith(b"# EOF\n") is found.startswith("application/openmetrics-text")


def test_a_version_that_is_no_number_is_answered_too(page: MetricsPage) -> None:
    body, content_type = page("application/openmetrics-text; version=banana")
    assert body.endswith(b"# EOF\n") is content_type.startswith("application/openmetrics-text")
    assert b"midspan_build_info" in body


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_no_creation_times_are_written(page: MetricsPage, accept: str | None) -> None:
    assert not re.findall(rb"^midspan\w*_created", page(accept)[0], re.MULTILINE)


@pytest.mark.usefixtures("busy")
def test_two_scrapes_of_the_same_state_are_the_same(page: MetricsPage) -> None:
    first, second = ([line for line in page()[0].decode().splitlines() if "midspan" in line] for _ in range(2))
    assert first == second
    names = [line.split()[2] for line in first if line.startswith("# TYPE")]
    assert names == sorted(names, key=lambda name: name.removesuffix("_total").removesuffix("_info"))


def test_the_page_tells_versions_and_the_process(page: MetricsPage) -> None:
    found = {sample.name: sample for sample in samples(page)}
    assert found["midspan_build_info"].value == 1.0
    assert all(found["midspan_build_info"].labels.values())
    assert found["process_start_time_seconds"].value > 0


# --- values ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("busy")
def test_values_are_those_of_the_operations(page: MetricsPage, clock: FakeClock) -> None:
    assert values(page, "midspan_operation_started_total", "midspan_operation_name") == {("chat",): 2, ("import",): 2}
    ended = values(page, "midspan_operation_ended_total", "midspan_operation_name", "midspan_status")
    assert ended == {
        ("chat", "completed"): 1,
        ("chat", "failed"): 1,
        ("chat", "cancelled"): 0,
        ("chat", "lost"): 0,
        ("import", "completed"): 1,
        ("import", "failed"): 0,
        ("import", "cancelled"): 0,
        ("import", "lost"): 0,
    }
    assert values(page, "midspan_operation_failures_total", "error_type") == {("ValueError",): 1}
    assert values(page, "midspan_tokens_total", "gen_ai_token_type") == {("input",): 10, ("output",): 20}
    active = values(page, "midspan_operation_active", "midspan_operation_name", "midspan_stage")
    assert active == {("import", "custom"): 1}
    assert values(page, "midspan_operation_progress_ratio", "midspan_operation_name") == {("import",): 0.2}
    oldest = values(page, "midspan_operation_oldest_progress_timestamp_seconds", "midspan_operation_name")
    assert oldest == {("import",): clock.now}
    assert values(page, "midspan_internal_errors_total", "midspan_component") == {("test",): 1}


@pytest.mark.usefixtures("busy")
def test_a_histogram_counts_up_to_everything(page: MetricsPage) -> None:
    buckets = values(
        page, "midspan_operation_duration_seconds_bucket", "midspan_operation_name", "midspan_status", "le"
    )
    chat = {
        float(le): count for (name, status, le), count in buckets.items() if (name, status) == ("chat", "completed")
    }
    assert (chat[1.0], chat[2.5], chat[float("inf")]) == (0, 1, 1)
    assert list(chat.values()) == sorted(chat.values())
    sums = values(page, "midspan_operation_duration_seconds_sum", "midspan_operation_name", "midspan_status")
    assert sums["chat", "completed"] == 2.0


def test_a_bucket_points_to_a_trace_of_its_own_in_openmetrics_alone(
    registry: ProgressRegistry, clock: FakeClock, provider: TracerProvider, page: MetricsPage
) -> None:
    registry.add_processor(SpanRecorder(registry, tracer_provider=provider))
    tracker = registry.create_tracker()
    tracker.start()
    ended = clock.advance(3.0)
    tracker.complete()
    details = tracker.get_progress_details()
    found = [
        sample
        for family in parse_openmetrics(page(OPENMETRICS)[0].decode())
        for sample in family.samples
        if sample.exemplar is not None
    ]
    by_bucket = {(sample.name, sample.labels["le"]): sample.exemplar for sample in found}
    exemplar = by_bucket["midspan_operation_duration_seconds_bucket", "5.0"]
    assert exemplar.labels == {"trace_id": details.trace_id, "span_id": details.span_id}
    assert (exemplar.value, float(exemplar.timestamp)) == (3.0, ended)
    assert b"trace_id" not in page()[0]


def test_an_ended_operation_leaves_counters_and_zeros_but_no_gauge(
    registry: ProgressRegistry, page: MetricsPage
) -> None:
    tracker = registry.create_tracker()
    tracker.update(progress=0.5, stage="sorting")
    before = {sample.name for sample in samples(page)}
    tracker.complete()
    gone = before - {sample.name for sample in samples(page)}
    assert gone == {
        "midspan_operation_progress_ratio",
        "midspan_operation_oldest_start_timestamp_seconds",
        "midspan_operation_oldest_progress_timestamp_seconds",
    }
    assert values(page, "midspan_operation_active", "midspan_stage") == {("custom",): 0}


def counters(page: MetricsPage) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    ours = [sample for sample in samples(page) if sample.name.startswith("midspan") and sample.name.endswith("_total")]
    return {(sample.name, tuple(sample.labels.items())): sample.value for sample in ours}


def test_counters_never_fall_while_operations_end(registry: ProgressRegistry, page: MetricsPage) -> None:
    """Scraped before, in the middle of (a processor is told while nothing is counted yet) and after each ending."""
    seen: list[dict[tuple[str, tuple[tuple[str, str], ...]], float]] = []

    class ScrapeAtTheEnd:
        def on_start(self, _: State) -> None: ...
        def on_update(self, _: State) -> None: ...
        def on_end(self, _: State) -> None:
            seen.append(counters(page))

    registry.add_processor(ScrapeAtTheEnd())
    for step in range(5):
        tracker = registry.create_tracker()
        tracker.update(step=step)
        seen.append(counters(page))
        tracker.complete()
        seen.append(counters(page))
    fallen = [key for earlier, later in pairwise(seen) for key, value in earlier.items() if later.get(key, 0.0) < value]
    assert fallen == []


def test_a_metric_that_cannot_be_read_does_not_take_the_page_with_it(
    registry: ProgressRegistry, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Reading) -> list[tuple[tuple[str, ...], float]]:
        raise RuntimeError("ours")

    broken = Metric("midspan.broken", "gauge", "1", "Broken.", (), unreadable)
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(prometheus, "METRICS", (broken, *METRICS))
    registry.create_tracker()
    assert values(page, "midspan_operation_started_total") == {(): 1}
    assert failures.counts() == {"prometheus": 1}


# --- in an application's own registry --------------------------------------------------------------


def test_an_application_shows_our_metrics_in_its_own_registry_until_it_takes_them_out(
    registry: ProgressRegistry,
) -> None:
    theirs = CollectorRegistry(auto_describe=True)
    register(registry, theirs)
    register(registry, theirs)
    registry.create_tracker()
    assert generate_latest(theirs).count(b"\nmidspan_operation_started_total{") == 1
    unregister(theirs)
    unregister(theirs)
    assert generate_latest(theirs) == b""


@pytest.mark.usefixtures("busy")
def test_the_page_keeps_away_from_the_global_registry(page: MetricsPage) -> None:
    page()
    assert b"midspan" not in generate_latest(REGISTRY)
