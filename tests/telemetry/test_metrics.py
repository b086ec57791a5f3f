"""Metrics through OpenTelemetry: the same as on the Prometheus page, to whatever provider, whenever it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NoReturn

import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from midspan.core import failures
from midspan.core.metrics import HISTOGRAMS, METRICS, Reading
from midspan.core.state import State
from midspan.telemetry.metering import Metering
from midspan.telemetry.prometheus import MetricsPage
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.runtime.test_wiring import run
from tests.telemetry.collected import metrics, points, pulled, pushed, values
from tests.telemetry.conftest import MakeCall

NAME = "midspan.operation.name"


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def meters(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    made = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    yield made
    made.shutdown()


@pytest.fixture
def metering(registry: ProgressRegistry, meters: MeterProvider) -> Metering:
    made = Metering(registry)
    made.attach(meters)
    return made


@pytest.fixture
def busy(metering: Metering, registry: ProgressRegistry, clock: FakeClock, make_call: MakeCall) -> None:
    """Operations of which every family has something to show, some of them still running."""
    registry.statistics.suppressed["models"] += 1
    call = make_call()
    call.enter_stage("sending_request")
    clock.advance(2.0)
    call.first_chunk()
    call.record_usage(input=10, output=20)
    call.retrying(2, "timeout")
    call.complete()
    make_call().fail(ValueError("no"))
    make_call().cancel("enough")
    job = registry.create_tracker("job-1", "batch", 10, name="import", deadline=30.0)
    job.update(step=1, stage="sorting")
    guess = registry.create_tracker("job-2", "batch", 10, name="import")
    for step in (1, 2):
        clock.advance(20.0)
        job.update(step=step)
        guess.update(step=step)
        registry.pulse(clock.now)
    guess.complete()
    make_call().first_chunk()
    registry.create_tracker(name="silent", stall_after=1.0).start()
    clock.advance(5.0)


# --- the same as on the page ---------------------------------------------------------------------


@pytest.mark.usefixtures("busy")
def test_both_ways_show_the_same_names_labels_and_values(
    reader: InMemoryMetricReader, registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(failures, "_counts", {"test": 1})
    found, wanted = pushed(reader), pulled(MetricsPage(registry))
    assert found == wanted
    names = {name for name, _ in found}
    assert len([name for name in names if not name.endswith(("_bucket", "_count"))]) == len(METRICS) + len(HISTOGRAMS)


@pytest.mark.usefixtures("busy")
def test_kinds_units_and_descriptions_are_those_of_the_table(reader: InMemoryMetricReader) -> None:
    found = metrics(reader)
    for row in METRICS:
        if row.name == "midspan.internal.errors":
            continue
        metric = found[row.name]
        assert (metric.unit, metric.description) == (row.unit, row.help)
        kind, monotonic = {"counter": (Sum, True), "updown": (Sum, False), "gauge": (Gauge, None)}[row.kind]
        assert isinstance(metric.data, kind)
        assert getattr(metric.data, "is_monotonic", None) is monotonic
    for row in HISTOGRAMS:
        metric = found[row.name]
        assert (metric.unit, metric.description) == (row.unit, row.help)
        assert {point.explicit_bounds for point in metric.data.data_points} == {row.buckets}


def test_what_has_ended_leaves_zeros_where_a_push_would_keep_the_last_value(
    metering: Metering, registry: ProgressRegistry, reader: InMemoryMetricReader
) -> None:
    tracker = registry.create_tracker(name="job", deadline=60)
    tracker.update(progress=0.5, stage="sending_request")
    assert values(reader, "midspan.operation.active", "midspan.stage") == {("sending_request",): 1}
    tracker.complete()
    assert values(reader, "midspan.operation.active", "midspan.stage") == {("sending_request",): 0}
    assert values(reader, "midspan.operation.stalled", NAME) == {("job",): 0}
    assert values(reader, "midspan.operation.past_deadline", NAME) == {("job",): 0}
    for name in ("progress.ratio", "oldest_start.timestamp", "oldest_progress.timestamp"):
        assert points(reader, f"midspan.operation.{name}") == []


def test_a_view_of_the_application_wins_over_our_buckets(registry: ProgressRegistry) -> None:
    reader = InMemoryMetricReader()
    view = View(instrument_name="midspan.operation.duration", aggregation=ExplicitBucketHistogramAggregation([7.0]))
    metering = Metering(registry)
    metering.attach(MeterProvider([reader], views=[view], shutdown_on_exit=False))
    registry.create_tracker().complete()
    (point,) = points(reader, "midspan.operation.duration")
    assert point.explicit_bounds == (7.0,)


def test_an_operation_that_cannot_be_recorded_takes_no_other_with_it(
    metering: Metering, reader: InMemoryMetricReader, registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    export = metering._current
    assert export is not None
    record = export.record

    def fail_on_broken(state: State) -> None:
        if state.name == "broken":
            raise RuntimeError("ours")
        record(state)

    monkeypatch.setattr(export, "record", fail_on_broken)
    for name in ("broken", "sound"):
        registry.create_tracker(name=name).complete()
    registry.settle()
    assert [point.attributes[NAME] for point in points(reader, "midspan.operation.duration")] == ["sound"]
    assert failures.counts() == {"metrics": 1}


# --- how it is read ------------------------------------------------------------------------------


def test_a_collection_takes_one_reading_and_the_next_one_another(
    metering: Metering, reader: InMemoryMetricReader, registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Reading] = []
    of = Reading.of

    def counted(registry: ProgressRegistry) -> Reading:
        taken.append(of(registry))
        return taken[-1]

    monkeypatch.setattr(Reading, "of", counted)
    for number in (1, 2, 3):
        registry.create_tracker(name="job").complete()
        assert values(reader, "midspan.operation.started", NAME) == {("job",): number}
        assert len(taken) == number


def test_two_readers_of_one_provider_see_the_same(registry: ProgressRegistry) -> None:
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    metering = Metering(registry)
    metering.attach(MeterProvider(readers, shutdown_on_exit=False))
    for number in (1, 2):
        registry.create_tracker(name="job").complete()
        assert [values(reader, "midspan.operation.started", NAME) for reader in readers] == [{("job",): number}] * 2


class Unreadable(Counter[str]):
    """Counts that nobody can read."""

    def copy(self) -> Unreadable:
        return self

    def items(self) -> NoReturn:
        raise RuntimeError("ours")


def test_a_metric_that_cannot_be_read_takes_no_other_with_it(
    metering: Metering, reader: InMemoryMetricReader, registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    registry.create_tracker(name="job").start()
    series = registry.statistics.series()[0]
    monkeypatch.setattr(series, "tokens", Unreadable())
    found = metrics(reader)
    assert "midspan.tokens" not in found
    assert {"midspan.operation.active", "midspan.internal.errors"} <= set(found)
    assert failures.counts() == {"metrics": 1}


def test_an_export_of_which_nothing_can_be_read_says_so_itself(
    metering: Metering, reader: InMemoryMetricReader, registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    registry.create_tracker(name="job").start()
    monkeypatch.setattr(Reading, "of", broken)
    assert {name for name in metrics(reader) if name.startswith("midspan.")} == {"midspan.internal.errors"}


def broken(_: object) -> NoReturn:
    raise RuntimeError("ours")


# --- exemplars -----------------------------------------------------------------------------------


def exemplars(reader: InMemoryMetricReader) -> set[tuple[str, str]]:
    """(metric, hex span id) of every exemplar collected."""
    return {
        (name, trace.format_span_id(exemplar.span_id or 0))
        for name, metric in metrics(reader).items()
        for point in metric.data.data_points
        for exemplar in point.exemplars
    }


def test_an_exemplar_is_the_operations_own_span_and_never_the_one_around(
    registry: ProgressRegistry, provider: TracerProvider, recorder: SpanRecorder, reader: InMemoryMetricReader,
    metering: Metering,
) -> None:  # fmt: skip
    with provider.get_tracer("app").start_as_current_span("around"):
        tracker = registry.create_tracker()
        tracker.complete()
        found = exemplars(reader)
    assert found == {("midspan.operation.duration", tracker.get_progress_details().span_id)}


def test_an_operation_that_is_not_sampled_is_no_exemplar(
    registry: ProgressRegistry, provider: TracerProvider, reader: InMemoryMetricReader, meters: MeterProvider
) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    registry.add_processor(SpanRecorder(registry, tracer_provider=unsampled))
    metering = Metering(registry)
    metering.attach(meters)
    with provider.get_tracer("app").start_as_current_span("around"):
        registry.create_tracker().complete()
        assert len(points(reader, "midspan.operation.duration")) == 1
        assert exemplars(reader) == set()


# --- providers -----------------------------------------------------------------------------------


def test_detached_it_is_silent_and_attached_again_it_tells_everything_once(
    metering: Metering, meters: MeterProvider, reader: InMemoryMetricReader, registry: ProgressRegistry
) -> None:
    registry.create_tracker(name="job").complete()
    assert "midspan.operation.started" in metrics(reader)
    metering.detach()
    registry.create_tracker(name="job").complete()
    assert {name for name in metrics(reader) if name != "midspan.operation.duration"} == set()
    for _ in range(2):
        metering.attach(meters)
        assert values(reader, "midspan.operation.started", NAME) == {("job",): 2}
    registry.create_tracker(name="job").complete()
    assert [point.count for point in points(reader, "midspan.operation.duration")] == [2]


def test_another_provider_takes_over_and_the_first_may_come_back(
    metering: Metering, meters: MeterProvider, reader: InMemoryMetricReader, registry: ProgressRegistry
) -> None:
    other = InMemoryMetricReader()
    registry.create_tracker(name="job").complete()
    metering.attach(MeterProvider([other], shutdown_on_exit=False))
    registry.create_tracker(name="job").complete()
    assert points(reader, "midspan.operation.started") == []
    assert values(other, "midspan.operation.started", NAME) == {("job",): 2}
    metering.attach(meters)
    assert values(reader, "midspan.operation.started", NAME) == {("job",): 2}
    assert points(other, "midspan.operation.started") == []


def test_a_provider_that_keeps_nothing_gets_nothing(registry: ProgressRegistry) -> None:
    metering = Metering(registry)
    metering.attach(NoOpMeterProvider())
    registry.create_tracker().complete()
    assert not metering.has_provider


def test_without_a_provider_not_even_the_api_is_imported() -> None:
    seen = run("""
        import json, sys, midspan
        midspan.instrument()
        midspan.get_progress_registry().create_tracker().complete()
        print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry.metrics")]))
    """)
    assert seen == []


LATE = """
    import json, midspan
    midspan.instrument()
    registry = midspan.get_progress_registry()
    registry.create_tracker(name="before").complete()
    {between}
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    running = registry.create_tracker(name="running")
    running.start()
    registry.create_tracker(name="after").complete()
    {then}
    found = {{}}
    data = reader.get_metrics_data()
    for scope in data.resource_metrics[0].scope_metrics if data else ():
        for metric in scope.metrics:
            for point in metric.data.data_points:
                name = point.attributes.get("midspan.operation.name")
                found[f"{{metric.name}} {{name}} {{point.attributes.get('midspan.status')}}"] = getattr(
                    point, "value", None) or getattr(point, "count", None)
    midspan.uninstrument()
    print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("between", "then"),
    [
        ("pass", "pass"),
        # The application has the API only, and sets a provider when we have found the placeholder.
        ("import opentelemetry.metrics; registry.create_tracker(name='between').complete()", "pass"),
        # The same provider once more by its own name.
        ("pass", "midspan.instrument(meter_provider=metrics.get_meter_provider())"),
    ],
)
def test_a_provider_that_the_application_sets_later_gets_all_counts_and_the_times_from_then_on(
    between: str, then: str
) -> None:
    found = run(LATE.format(between=between, then=then))
    assert found["midspan.operation.started before None"] == 1
    assert found["midspan.operation.active running None"] == 1
    # What has ended a moment before may still be there for it.
    assert found["midspan.operation.duration after completed"] == 1


def test_a_provider_that_comes_while_something_runs_is_found_by_the_pulse() -> None:
    found = run("""
        import json, time, midspan
        midspan.instrument()
        midspan.get_progress_registry().create_tracker(name="running").start()
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        end = time.monotonic() + 20
        while (data := reader.get_metrics_data()) is None and time.monotonic() < end:
            time.sleep(0.01)
        print(json.dumps(data is not None))
    """)
    assert found is True


def test_a_disabled_sdk_costs_nothing_and_breaks_nothing() -> None:
    found = run(LATE.format(between="pass", then="pass"), OTEL_SDK_DISABLED="true")
    assert found == {}


def test_a_forked_child_tells_its_own_counts_only() -> None:
    found = run("""
        import json, os, midspan
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        midspan.instrument(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
        registry = midspan.get_progress_registry()
        registry.create_tracker(name="parent").complete()
        reader.get_metrics_data()
        mine, theirs = os.pipe()
        if os.fork() == 0:
            registry.create_tracker(name="child").complete()
            data = reader.get_metrics_data()
            found = [
                [point.attributes["midspan.operation.name"], point.value]
                for metric in data.resource_metrics[0].scope_metrics[0].metrics
                for point in metric.data.data_points
                if metric.name == "midspan.operation.started"
            ]
            os.write(theirs, json.dumps(found).encode())
            os._exit(0)
        os.wait()
        print(os.read(mine, 1000).decode())
    """)
    assert found == [["child", 1]]
