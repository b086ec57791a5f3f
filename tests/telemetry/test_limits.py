"""What a process may grow to: series, label values, what is kept; and that no label breaks a page."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from midspan.core.operation import Stage
from midspan.core.statistics import MAX_ERROR_TYPES, MAX_MODELS, MAX_PAIRS, MAX_SERIES
from midspan.telemetry.metering import Metering
from midspan.telemetry.prometheus import MetricsPage, MidspanCollector
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker
from tests.telemetry.collected import metrics, pulled, pushed, values
from tests.telemetry.conftest import MakeCall

SDK_LIMIT = 2_000
SUPPRESSED = "midspan.series.suppressed"
STAGES = [*(str(stage) for stage in Stage), "custom"]


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture(autouse=True)
def metering(registry: ProgressRegistry, reader: InMemoryMetricReader) -> Iterator[Metering]:
    registry.add_processor(SpanRecorder(registry))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    made = Metering(registry)
    made.attach(provider)
    yield made
    provider.shutdown()


def points_by_metric(reader: InMemoryMetricReader) -> dict[str, int]:
    """How many points each metric has; none of them is the SDK's own for what it could not keep."""
    found = metrics(reader)
    for metric in found.values():
        assert not any("otel.metric.overflow" in (point.attributes or {}) for point in metric.data.data_points)
    return {name: len(metric.data.data_points) for name, metric in found.items()}


def label_values(reader: InMemoryMetricReader, label: str) -> set[object]:
    """Every value of one label, on all metrics."""
    points = [point for metric in metrics(reader).values() for point in metric.data.data_points]
    return {point.attributes[label] for point in points if label in point.attributes}


# --- series --------------------------------------------------------------------------------------


def test_ten_thousand_running_operations_with_junk_models_stay_fifty_series(
    registry: ProgressRegistry, reader: InMemoryMetricReader
) -> None:
    trackers = [registry.create_tracker(name="chat", model=f"junk-{number}") for number in range(10_000)]
    for tracker in trackers:
        tracker.start()
    models = label_values(reader, "gen_ai.request.model")
    assert len(models) == MAX_MODELS + 1 and "other" in models
    active = values(reader, "midspan.operation.active", "gen_ai.request.model")
    assert (active["other",], sum(active.values())) == (10_000 - MAX_MODELS, 10_000)
    assert values(reader, SUPPRESSED, "reason") == {("models",): 10_000 - MAX_MODELS}
    for tracker in trackers:
        tracker.complete()
    assert max(points_by_metric(reader).values()) <= (MAX_MODELS + 1) * 4


def test_junk_in_every_label_stays_three_hundred_sets_and_other(
    registry: ProgressRegistry, reader: InMemoryMetricReader
) -> None:
    for number in range(10_000):
        tracker = registry.create_tracker(None, f"type-{number}", name=f"name-{number}", provider=f"p-{number}")
        tracker.complete()
    started = values(reader, "midspan.operation.started", "midspan.operation.name")
    assert len(started) == MAX_SERIES + 1
    assert sum(started.values()) == 10_000
    assert values(reader, SUPPRESSED, "reason") == {("label_sets",): 10_000 - MAX_SERIES}


def test_junk_error_types_stay_twenty(registry: ProgressRegistry, reader: InMemoryMetricReader) -> None:
    for number in range(500):
        registry.create_tracker(name="job").fail(type(f"Error{number}", (Exception,), {})("no"))
    failed = values(reader, "midspan.operation.failures", "error.type")
    assert len(failed) == MAX_ERROR_TYPES + 1
    assert failed["other",] == 500 - MAX_ERROR_TYPES
    assert values(reader, SUPPRESSED, "reason") == {("error_types",): 500 - MAX_ERROR_TYPES}


def test_no_combination_of_labels_reaches_the_limit_of_the_sdk(
    registry: ProgressRegistry, reader: InMemoryMetricReader, clock: FakeClock
) -> None:
    errors = [type(f"Error{number}", (Exception,), {})("no") for number in range(MAX_ERROR_TYPES + 1)]
    for number in range(MAX_SERIES + 2):
        trackers = [fully_told(registry, number) for _ in errors]
        for tracker, stage in zip(trackers, STAGES, strict=False):
            tracker.enter_stage(stage)
        clock.advance(2.0)
        if number == MAX_SERIES // 2 or number > MAX_SERIES:
            points_by_metric(reader)
        for tracker, error in zip(trackers, errors, strict=True):
            tracker.enter_stage("custom")
            tracker.fail(error)
    found = points_by_metric(reader)
    assert max(found.values()) < SDK_LIMIT
    assert min(found[name] for name in ("midspan.operation.failures", "midspan.stage.duration")) > MAX_PAIRS
    reasons = {reason for (reason,) in values(reader, SUPPRESSED, "reason")}
    assert reasons == {"label_sets", "error_types", "stages", "gen_ai"}
    samples = [sample for family in MidspanCollector(registry, live_series=0).collect() for sample in family.samples]
    assert len([key for key in pushed(reader) if key[0].startswith("midspan_")]) == len(samples) - 1  # the build's


def fully_told(registry: ProgressRegistry, number: int) -> ProgressTracker:
    """A call of which every metric of the conventions has something to record."""
    tracker = registry.create_tracker(None, "llm_request", name=f"name-{number}", span_deferred=True)
    state = tracker.state
    state.attributes = {"gen_ai.response.model": f"r-{number % 7}", "server.port": number}
    state.time_to_first_chunk = 0.1
    state.tokens_reported, state.input_tokens, state.output_tokens = True, 1, 2
    return tracker


# --- time ----------------------------------------------------------------------------------------


def kept_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def test_after_a_month_of_traffic_a_process_is_as_big_as_after_two_days(
    registry: ProgressRegistry, clock: FakeClock, reader: InMemoryMetricReader
) -> None:
    page = MetricsPage(registry)

    def day(count: int = 300) -> None:
        for number in range(count):
            tracker = registry.create_tracker(name=f"job-{number % 20}", model=f"m-{number % 60}", total_steps=2)
            clock.advance(86_400 / count / 2)
            tracker.update(step=1, stage="working")
            clock.advance(86_400 / count / 2)
            if number % 10:
                tracker.complete()
            else:
                tracker.fail(TimeoutError())
            if number % 30 == 0:
                registry.pulse(clock.now)
        registry.pulse(clock.now)

    def size() -> tuple[int, set[object], int]:
        return len(registry.operations()), set(pulled(page)), sum(points_by_metric(reader).values())

    day()
    day()
    before, objects = size(), kept_objects()
    for _ in range(28):
        day()
    assert size() == before
    assert kept_objects() < objects * 1.02 + 500
    started = values(reader, "midspan.operation.started", "midspan.operation.name", "gen_ai.request.model")
    assert sum(started.values()) == 9_000


# --- text ----------------------------------------------------------------------------------------

JUNK = 'a\nb"c\\d\x00\x1b[31m\u202eevil\u2066\u061c\ud800\x85' + "x" * 1_000


def test_no_label_breaks_a_line_a_page_or_an_export(
    registry: ProgressRegistry, reader: InMemoryMetricReader, make_call: MakeCall
) -> None:
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    call = make_call(JUNK, **{"gen_ai.response.model": JUNK, "server.address": JUNK})
    call.fail_as(JUNK, JUNK)
    tracker = registry.create_tracker(None, JUNK, name=JUNK, provider=JUNK, model=JUNK)
    tracker.enter_stage(JUNK)
    tracker.fail(type(JUNK.replace("\x00", "").replace("\ud800", ""), (Exception,), {})(JUNK))
    page = MetricsPage(registry)
    plain, openmetrics = (page(accept)[0].decode() for accept in (None, "application/openmetrics-text"))
    assert len(list(parse_text(plain))) > 1
    assert len(list(parse_openmetrics(openmetrics))) > 1
    labels = [value for _, labels in pushed(reader) for _, value in labels]
    for text in (plain, openmetrics, *labels):
        assert not set(text) & set("\x00\x1b\u202e\u2066\u061c\ud800\x85\r")
    assert all("\n" not in value and len(value) <= 128 for value in labels)
    assert pulled(page).items() <= pushed(reader).items()
    data = reader.get_metrics_data()
    assert data is not None
    assert encode_metrics(data).SerializeToString()
