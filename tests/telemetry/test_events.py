"""Events as log records: the same as on the span, out while it is still open, and nothing without a provider."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, NoOpLoggerProvider, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import Event, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from midspan.core import failures
from midspan.core.state import State
from midspan.telemetry import event_queue
from midspan.telemetry.event_queue import EventQueue, OutgoingEvent
from midspan.telemetry.events import LogRecords
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.telemetry.conftest import MakeCall

COMMON = {"midspan.operation.id", "midspan.operation.type", "midspan.operation.name"}
COMMON_OF_CALLS = {*COMMON, "gen_ai.provider.name", "gen_ai.request.model"}


class Logged:
    """What a log exporter was given, and the pulse that makes it go out."""

    def __init__(self, registry: ProgressRegistry, queue: EventQueue, exporter: InMemoryLogRecordExporter) -> None:
        self.registry, self.queue, self.exporter = registry, queue, exporter

    def beat(self, now: float) -> None:
        """What the pulse does."""
        self.registry.pulse(now)
        self.queue.flush()

    @property
    def finished(self) -> list[ReadableLogRecord]:
        self.queue.flush()
        return list(self.exporter.get_finished_logs())

    @property
    def records(self) -> list[LogRecord]:
        return [each.log_record for each in self.finished]

    @property
    def names(self) -> list[str]:
        return [(record.event_name or "").removeprefix("midspan.operation.") for record in self.records]


@pytest.fixture
def log_exporter() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()


@pytest.fixture
def log_provider(log_exporter: InMemoryLogRecordExporter) -> Iterator[LoggerProvider]:
    made = LoggerProvider(shutdown_on_exit=False)
    made.add_log_record_processor(SimpleLogRecordProcessor(log_exporter))
    yield made
    made.shutdown()


def record_into(
    registry: ProgressRegistry, provider: trace.TracerProvider | None, queue: EventQueue, events: bool = True
) -> None:
    recorder = SpanRecorder(registry, tracer_provider=provider, events=events, queue=queue)
    registry.add_processor(recorder)
    registry.attach = recorder.attach


@pytest.fixture
def logged(
    registry: ProgressRegistry,
    provider: TracerProvider,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
) -> Logged:
    queue = EventQueue(registry, [LogRecords(log_provider)])
    record_into(registry, provider, queue)
    return Logged(registry, queue, log_exporter)


def attributes(record: LogRecord) -> dict[str, Any]:
    return dict(record.attributes or {})


def told(event: Event | LogRecord) -> tuple[str | None, int | None, dict[str, object]]:
    """Name, time and attributes, without those that a span has itself."""
    name = event.name if isinstance(event, Event) else event.event_name
    found: Mapping[str, object] = event.attributes or {}
    return name, event.timestamp, {key: value for key, value in found.items() if key not in COMMON_OF_CALLS}


def test_log_records_and_span_events_are_the_same_events(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter, logged: Logged
) -> None:
    tracker = registry.create_tracker(total_steps=10, stall_after=5, deadline=60)
    tracker.enter_stage("reading")
    for step in range(3):
        clock.advance(1.5)
        tracker.update(step + 1, "on")
        logged.beat(clock.now)
    for _ in range(8):
        logged.beat(clock.advance(1.0))
    tracker.update(4)
    logged.beat(clock.advance(1.0))
    tracker.enter_stage("writing")
    tracker.fail(TimeoutError("late"))
    (span,) = exporter.get_finished_spans()
    assert [told(record) for record in logged.records] == [told(event) for event in span.events]
    assert logged.names == ["start", *["update"] * 4, "stall", "resume", "update", "end"]


def test_start_and_updates_go_out_while_the_span_is_open(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter, logged: Logged
) -> None:
    begun = clock.now
    tracker = registry.create_tracker(total_steps=4)
    tracker.update(1)
    clock.advance(1.0)
    logged.beat(clock.now)
    assert (logged.names, exporter.get_finished_spans()) == (["start", "update"], ())
    start, update = logged.records
    assert (start.timestamp, update.timestamp) == (int(begun * 1e9), int(clock.now * 1e9))
    assert attributes(update)["midspan.progress"] == 0.25


def test_an_operation_of_which_nothing_is_heard_is_told_of_once_it_is_a_second_old(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged
) -> None:
    registry.create_tracker().enter_stage("waiting")
    logged.beat(clock.advance(0.5))
    assert logged.names == []
    logged.beat(clock.advance(0.5))
    for _ in range(20):
        logged.beat(clock.advance(1.0))
    assert logged.names == ["start", "update"]


def test_a_short_operation_logs_nothing_and_a_short_failure_its_end_alone(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged
) -> None:
    for ending in ("complete", "cancel", "fail"):
        tracker = registry.create_tracker(f"{ending}-1")
        tracker.enter_stage("short")
        logged.beat(clock.advance(0.5))
        getattr(tracker, ending)()
    (record,) = logged.records
    assert (record.event_name, attributes(record)["midspan.operation.id"]) == ("midspan.operation.end", "fail-1")


@pytest.mark.parametrize(
    ("ending", "severity", "status"),
    [("complete", "INFO", "completed"), ("cancel", "INFO", "cancelled"), ("fail", "WARN", "failed")],
)
def test_a_failed_end_is_a_warning_and_any_other_is_not(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged, ending: str, severity: str, status: str
) -> None:
    tracker = registry.create_tracker(name="sort")
    clock.advance(2.0)
    getattr(tracker, ending)()
    start, end = logged.records
    assert (start.severity_number, start.severity_text) == (SeverityNumber.INFO, "INFO")
    assert (end.severity_text, end.severity_number) == (severity, getattr(SeverityNumber, severity))
    assert str(end.body).startswith(f"sort {status}")


def test_a_stall_is_a_warning_and_its_end_is_not(registry: ProgressRegistry, clock: FakeClock, logged: Logged) -> None:
    tracker = registry.create_tracker(name="sort", stall_after=10)
    tracker.update(1)
    logged.beat(clock.advance(11.0))
    tracker.update(2)
    logged.beat(clock.advance(1.0))
    found = {record.event_name: record for record in logged.records}
    stall, resume = found["midspan.operation.stall"], found["midspan.operation.resume"]
    assert (stall.severity_text, stall.body, attributes(stall)["midspan.stalled"]) == ("WARN", "sort stalled", True)
    assert (resume.severity_text, resume.body) == ("INFO", "sort moves again")
    assert "midspan.stalled" not in attributes(resume)


def test_a_record_says_which_operation_it_is_about(clock: FakeClock, logged: Logged, make_call: MakeCall) -> None:
    call = make_call("gpt-x")
    clock.advance(2.0)
    call.complete()
    for record in logged.records:
        assert (
            attributes(record).items()
            >= {
                "midspan.operation.id": call.operation_id,
                "midspan.operation.type": "llm_request",
                "midspan.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-x",
            }.items()
        )


def test_the_body_is_a_short_line_for_people(registry: ProgressRegistry, clock: FakeClock, logged: Logged) -> None:
    tracker = registry.create_tracker(name="sort", total_steps=8)
    tracker.enter_stage("merging")
    tracker.update(2, "a message that is the message's own attribute")
    clock.advance(1.0)
    logged.beat(clock.now)
    clock.advance(1.0)
    tracker.fail(TimeoutError("late"))
    assert [record.body for record in logged.records] == [
        "sort started",
        "sort merging",
        "sort merging, 25 %",
        "sort failed: TimeoutError",
    ]


def test_records_point_to_the_operations_own_span_and_not_to_what_is_current(
    registry: ProgressRegistry,
    provider: TracerProvider,
    clock: FakeClock,
    exporter: InMemorySpanExporter,
    logged: Logged,
) -> None:
    tracker = registry.create_tracker()
    with provider.get_tracer("app").start_as_current_span("elsewhere"):
        logged.beat(clock.advance(2.0))
        tracker.complete()
        records = logged.records
    span = next(span for span in exporter.get_finished_spans() if span.name == "general")
    assert {(record.trace_id, record.span_id) for record in records} == {(span.context.trace_id, span.context.span_id)}
    assert {record.trace_flags for record in records} == {span.context.trace_flags}


def test_records_point_to_an_adopted_span(
    registry: ProgressRegistry,
    provider: TracerProvider,
    clock: FakeClock,
    exporter: InMemorySpanExporter,
    logged: Logged,
    make_call: MakeCall,
) -> None:
    call = make_call()
    with provider.get_tracer("other").start_as_current_span("chat gpt-x", attributes={"gen_ai.operation.name": "chat"}):
        with registry.attach(call.state):
            logged.beat(clock.advance(2.0))
        call.complete()
    (span,) = exporter.get_finished_spans()
    records = logged.records
    assert {record.span_id for record in records} == {span.context.span_id}
    assert [told(record) for record in records] == [told(event) for event in span.events]


def test_events_before_the_span_is_decided_are_on_it_later(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter, logged: Logged, make_call: MakeCall
) -> None:
    call = make_call()
    logged.beat(clock.advance(2.0))
    assert logged.names == ["start"]
    with registry.attach(call.state):
        clock.advance(2.0)
    call.complete()
    (span,) = exporter.get_finished_spans()
    assert [told(record) for record in logged.records] == [told(event) for event in span.events]


def test_an_operation_read_from_another_tools_span_is_logged_with_its_ids(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged
) -> None:
    state = State("mirrored", "llm_request", "chat", clock.now)
    state.trace_id, state.span_id, state.sampled = "0a" * 16, "0b" * 8, True
    registry.add(state)
    registry.bind_span(state, state.trace_id, state.span_id)
    logged.beat(clock.advance(2.0))
    registry.end(state, state.status.COMPLETED)
    assert [(record.trace_id, record.span_id) for record in logged.records] == [
        (int("0a" * 16, 16), int("0b" * 8, 16))
    ] * len(logged.records)
    assert (logged.names[0], logged.names[-1]) == ("start", "end")


def test_an_operation_that_was_sampled_out_is_logged_all_the_same(
    registry: ProgressRegistry,
    clock: FakeClock,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
) -> None:
    queue = EventQueue(registry, [LogRecords(log_provider)])
    record_into(registry, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False), queue)
    logged = Logged(registry, queue, log_exporter)
    tracker = registry.create_tracker()
    logged.beat(clock.advance(2.0))
    tracker.complete()
    assert (logged.names[0], logged.names[-1]) == ("start", "end")
    assert not any(record.trace_flags & 1 for record in logged.records if record.trace_flags is not None)
    assert {f"{record.trace_id:032x}" for record in logged.records} == {tracker.state.trace_id}


def test_without_an_sdk_for_traces_records_have_no_trace(
    registry: ProgressRegistry,
    clock: FakeClock,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
) -> None:
    queue = EventQueue(registry, [LogRecords(log_provider)])
    record_into(registry, trace.NoOpTracerProvider(), queue)
    logged = Logged(registry, queue, log_exporter)
    tracker = registry.create_tracker()
    clock.advance(2.0)
    tracker.complete()
    assert logged.names == ["start", "end"]
    assert {record.span_id for record in logged.records} == {0}


def test_without_events_on_spans_there_are_log_records_alone(
    registry: ProgressRegistry,
    provider: TracerProvider,
    clock: FakeClock,
    exporter: InMemorySpanExporter,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
) -> None:
    queue = EventQueue(registry, [LogRecords(log_provider)])
    record_into(registry, provider, queue, events=False)
    tracker = registry.create_tracker()
    clock.advance(2.0)
    tracker.complete()
    (span,) = exporter.get_finished_spans()
    assert span.events == ()
    assert Logged(registry, queue, log_exporter).names == ["start", "end"]


def test_a_logger_that_is_switched_off_gets_nothing_and_nothing_is_made_for_it(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    queue = EventQueue(registry, [LogRecords(NoOpLoggerProvider())])
    record_into(registry, trace.NoOpTracerProvider(), queue)
    tracker = registry.create_tracker()
    clock.advance(2.0)
    registry.pulse(clock.now)
    assert not queue.wanted
    assert tracker.state.span.ration is None  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


class LateLogger(LogRecords):
    """As the API's proxy before and after the application sets its provider."""

    is_set = False

    def wanted(self) -> bool:
        return self.is_set and super().wanted()


def test_a_provider_that_the_application_sets_later_gets_what_comes_then(
    registry: ProgressRegistry,
    provider: TracerProvider,
    clock: FakeClock,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
) -> None:
    records = LateLogger(log_provider)
    queue = EventQueue(registry, [records])
    record_into(registry, provider, queue, events=False)
    logged = Logged(registry, queue, log_exporter)
    tracker = registry.create_tracker(total_steps=9)
    tracker.update(1)
    logged.beat(clock.advance(2.0))
    assert logged.names == []
    records.is_set = True
    logged.beat(clock.advance(2.0))
    tracker.update(2)
    logged.beat(clock.advance(2.0))
    assert logged.names == ["start", "update"]


def test_progress_logs_at_most_one_record_a_second(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged
) -> None:
    tracker = registry.create_tracker()
    for number in range(80):
        tracker.update(progress=number / 100)
        logged.beat(clock.advance(0.125))
    assert logged.names.count("update") == 10


def test_an_operation_of_many_hours_logs_about_a_hundred_records(
    registry: ProgressRegistry, clock: FakeClock, logged: Logged
) -> None:
    tracker = registry.create_tracker()
    for number in range(36_000):
        tracker.update(progress=number / 36_000)
        registry.pulse(clock.advance(1.0))
    tracker.complete()
    assert 60 <= len(logged.records) <= 128


def test_records_are_numbered_in_their_order(registry: ProgressRegistry, clock: FakeClock, logged: Logged) -> None:
    tracker = registry.create_tracker(stall_after=3)
    for number in range(40):
        if number % 10 < 5:
            tracker.update(number)
        logged.beat(clock.advance(1.0))
    tracker.complete()
    numbers = [attributes(record)["midspan.sequence"] for record in logged.records]
    assert numbers == sorted(set(numbers))
    times = [record.timestamp for record in logged.records]
    assert times == sorted(times)


class Broken:
    """An outlet of ours with a bug."""

    def wanted(self) -> bool:
        return True

    def write(self, events: object) -> None:
        raise RuntimeError("no")


def test_one_outlet_that_fails_takes_no_other_with_it(
    registry: ProgressRegistry,
    provider: TracerProvider,
    clock: FakeClock,
    log_provider: LoggerProvider,
    log_exporter: InMemoryLogRecordExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    queue = EventQueue(registry, [Broken(), LogRecords(log_provider)])
    record_into(registry, provider, queue)
    tracker = registry.create_tracker()
    clock.advance(2.0)
    tracker.complete()
    assert Logged(registry, queue, log_exporter).names == ["start", "end"]
    assert failures.counts()["events"] >= 1


class Kept:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[OutgoingEvent] = []

    def wanted(self) -> bool:
        return True

    def write(self, events: list[OutgoingEvent]) -> None:
        self.events += events


def test_what_nobody_fetches_is_bounded_and_counted(
    registry: ProgressRegistry, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_queue, "WAITING", 10)
    kept = Kept()
    queue = EventQueue(registry, [kept])
    record_into(registry, trace.NoOpTracerProvider(), queue)
    for _ in range(25):
        registry.create_tracker().fail("gone")
    queue.flush()
    assert (len(kept.events), registry.statistics.suppressed["events"]) == (10, 15)


def test_each_operations_events_keep_their_order_when_many_threads_write(registry: ProgressRegistry) -> None:
    kept = Kept()
    queue = EventQueue(registry, [kept])
    record_into(registry, trace.NoOpTracerProvider(), queue)
    trackers = [registry.create_tracker(f"op-{number}") for number in range(8)]
    for tracker in trackers:
        tracker.state.created_at -= 100

    def work(name: str) -> None:
        for tracker in trackers:
            tracker.enter_stage(name)

    threads = [threading.Thread(target=work, args=(f"stage-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tracker in trackers:
        tracker.complete()
    queue.flush()
    for tracker in trackers:
        mine = [event for event in kept.events if event.attributes["midspan.operation.id"] == tracker.operation_id]
        names = [event.name for event in mine]
        assert (names[0], names.index("midspan.operation.end")) == ("midspan.operation.start", len(mine) - 1)
        times = [event.at for event in mine]
        assert times == sorted(times)
