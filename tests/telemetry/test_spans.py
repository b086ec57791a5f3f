"""Whose span an operation has, when it begins and ends, and what is written on it."""

from __future__ import annotations

import contextvars
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from midspan.core import failures
from midspan.core.operation import Status
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import CallTracker
from midspan.tracking.tracker import ProgressRegistry

MakeCall = Callable[..., CallTracker]


def wire(registry: ProgressRegistry, provider: trace.TracerProvider | None) -> None:
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def ns(at: float) -> int:
    return int(at * 1e9)


# --- operations that report by themselves ------------------------------------------------------


@pytest.mark.usefixtures("recorder")
def test_a_manual_operation_is_one_internal_span_with_its_own_times(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    begun = clock.now
    tracker = registry.create_tracker("job-1", "batch", name="import books")
    ended = clock.advance(12.5)
    tracker.complete()
    span = only(exporter)
    assert (span.name, span.kind) == ("import books", SpanKind.INTERNAL)
    assert (span.start_time, span.end_time) == (ns(begun), ns(ended))
    assert dict(span.attributes or {}) == {
        "midspan.operation.id": "job-1",
        "midspan.operation.type": "batch",
        "midspan.operation.name": "import books",
        "midspan.operation.status": "completed",
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "midspan"
    assert span.instrumentation_scope.version


@pytest.mark.usefixtures("recorder")
def test_the_span_is_current_inside_the_with_block_and_not_after_it(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with registry.create_tracker(name="outer"):
        provider.get_tracer("app").start_span("inner").end()
    assert trace.get_current_span() is trace.INVALID_SPAN
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id


@pytest.mark.usefixtures("recorder")
def test_the_span_belongs_under_the_span_that_is_current_when_the_operation_starts(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with provider.get_tracer("app").start_as_current_span("request"):
        tracker = registry.create_tracker()
    tracker.complete()
    request, ours = exporter.get_finished_spans()
    assert ours.parent is not None
    assert ours.parent.span_id == request.get_span_context().span_id


@pytest.mark.usefixtures("recorder")
def test_in_a_thread_of_its_own_the_span_belongs_under_its_parent_operation(
    registry: ProgressRegistry, exporter: InMemorySpanExporter
) -> None:
    parent = registry.create_tracker(name="all")
    worker = threading.Thread(target=lambda: registry.create_tracker(name="part", parent=parent).complete())
    worker.start()
    worker.join()
    parent.complete()
    part, whole = exporter.get_finished_spans()
    assert part.parent is not None
    assert part.parent.span_id == whole.get_span_context().span_id


@pytest.mark.usefixtures("recorder")
def test_a_running_operation_is_found_by_its_span(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    details = tracker.get_progress_details()
    assert details.span_id is not None
    found = registry.by_span(details.span_id)
    assert found is not None
    assert found.operation_id == tracker.operation_id


# --- instrumented calls --------------------------------------------------------------------------


@pytest.mark.usefixtures("recorder")
def test_a_call_that_reaches_the_transport_is_one_client_span_with_the_names_of_the_conventions(
    clock: FakeClock, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    begun = clock.now
    call = make_call(**{"server.address": "127.0.0.1", "server.port": 8080})
    call.start()
    clock.advance(0.25)
    with call.activate():
        pass
    clock.advance(1.0)
    call.complete()
    span = only(exporter)
    assert (span.name, span.kind, span.start_time) == ("chat gpt-x", SpanKind.CLIENT, ns(begun))
    attributes = dict(span.attributes or {})
    assert (
        attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-x",
            "server.address": "127.0.0.1",
            "server.port": 8080,
            "midspan.operation.id": call.operation_id,
            "midspan.operation.type": "llm_request",
        }.items()
    )


@pytest.mark.usefixtures("recorder")
def test_a_call_without_a_model_is_named_after_its_operation_alone(
    registry: ProgressRegistry, exporter: InMemorySpanExporter
) -> None:
    CallTracker(None, "llm_request", name="chat", span_deferred=True, registry=registry).complete()
    span = only(exporter)
    assert (span.name, (span.attributes or {})["gen_ai.operation.name"]) == ("chat", "chat")


def test_a_sampler_sees_the_names_of_the_call(registry: ProgressRegistry, make_call: MakeCall) -> None:
    seen: dict[str, object] = {}

    class Curious(Sampler):
        def should_sample(self, *args: object, attributes: object = None, **_: object) -> SamplingResult:
            seen.update(attributes or (args[4] if len(args) > 4 else None) or {})  # type: ignore[call-overload]
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "curious"

    wire(registry, TracerProvider(sampler=Curious(), shutdown_on_exit=False))
    make_call().complete()
    assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} <= set(seen)


@pytest.mark.usefixtures("recorder")
def test_a_call_that_never_reached_a_transport_gets_its_span_at_its_end_with_its_true_times(
    clock: FakeClock, provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    begun = clock.now
    with provider.get_tracer("app").start_as_current_span("request"):
        call = make_call()
    ended = clock.advance(3.0)
    call.fail(ValueError("no route"))
    request, ours = exporter.get_finished_spans()
    assert (ours.name, ours.start_time, ours.end_time) == ("chat gpt-x", ns(begun), ns(ended))
    assert ours.parent is not None
    assert ours.parent.span_id == request.get_span_context().span_id


@pytest.mark.usefixtures("recorder")
def test_a_second_send_of_one_call_uses_the_span_of_the_first(
    exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    call = make_call()
    current: list[trace.Span] = []
    for _ in range(2):
        with call.activate():
            current.append(trace.get_current_span())
    call.complete()
    assert current[0] is current[1]
    assert current[0].get_span_context().span_id == only(exporter).get_span_context().span_id


@pytest.mark.usefixtures("recorder")
def test_usage_as_the_server_told_it_and_answer_attributes_are_written_at_the_end(
    clock: FakeClock, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    call = make_call()
    with call.activate():
        clock.advance(0.5)
    call.first_chunk()
    call.counts.singles = 9
    call.record_usage(input=11, output=7, reasoning=3, cached=2)
    call.set_attributes({"gen_ai.response.id": "r-1", "gen_ai.response.finish_reasons": ["stop"], "nothing": None})
    call.complete()
    attributes = dict(only(exporter).attributes or {})
    assert (
        attributes.items()
        >= {
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.usage.cache_read.input_tokens": 2,
            "gen_ai.response.time_to_first_chunk": 0.5,
            "gen_ai.response.id": "r-1",
            "gen_ai.response.finish_reasons": ("stop",),
            "midspan.chunk.count": 9,
            "midspan.operation.status": "completed",
        }.items()
    )
    assert "nothing" not in attributes


@pytest.mark.usefixtures("recorder")
def test_an_estimate_never_stands_where_usage_stands(
    clock: FakeClock, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    call = make_call()
    clock.advance(1.0)
    call.counts.singles = 9
    call.cancel("closed early")
    span = only(exporter)
    assert not [key for key in span.attributes or {} if key.startswith("gen_ai.usage.")]
    assert (span.events[-1].attributes or {})["midspan.tokens.output"] == 9


@pytest.mark.usefixtures("recorder")
def test_metadata_results_and_answers_are_never_written(
    registry: ProgressRegistry, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker(metadata={"prompt": "sesame"})
    tracker.update(progress=0.5, prompt="sesame")
    tracker.state.preview = "sesame"
    tracker.complete(result={"answer": "sesame"})
    assert "sesame" not in json.dumps(json.loads(only(exporter).to_json()))


# --- endings -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (lambda tracker: tracker.complete(), "completed", StatusCode.UNSET),
        (lambda tracker: tracker.cancel("closed early"), "cancelled", StatusCode.UNSET),
        (lambda tracker: tracker.registry.end(tracker.state, Status.LOST), "lost", StatusCode.UNSET),
        (lambda tracker: tracker.fail(ValueError("bad row")), "failed", StatusCode.ERROR),
    ],
)
def test_only_a_failure_is_an_error(
    registry: ProgressRegistry,
    exporter: InMemorySpanExporter,
    end: Callable[[object], None],
    status: str,
    code: StatusCode,
) -> None:
    end(registry.create_tracker())
    span = only(exporter)
    assert (span.status.status_code, (span.attributes or {})["midspan.operation.status"]) == (code, status)
    assert span.status.description == ("bad row" if status == "failed" else None)
    assert (span.attributes or {}).get("error.type") == ("ValueError" if status == "failed" else None)


@pytest.mark.usefixtures("recorder")
def test_an_operation_that_is_ended_twice_has_one_span_that_ended_once(
    registry: ProgressRegistry, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    tracker.complete()
    tracker.state.warned = True
    tracker.fail("too late")
    assert only(exporter).status.status_code is StatusCode.UNSET


def test_a_change_told_after_the_end_is_not_written(
    registry: ProgressRegistry, clock: FakeClock, recorder: SpanRecorder, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    clock.advance(1.0)
    tracker.complete()
    clock.advance(10.0)
    recorder.on_update(tracker.state)
    assert [event.name for event in only(exporter).events][-1] == "midspan.operation.end"


def test_an_operation_that_ends_while_its_span_is_being_started_ends_that_span_once(
    registry: ProgressRegistry, exporter: InMemorySpanExporter, provider: TracerProvider, make_call: MakeCall
) -> None:
    starting, go_on = threading.Event(), threading.Event()

    class Slow(Sampler):
        def should_sample(self, *_: object, **__: object) -> SamplingResult:
            starting.set()
            assert go_on.wait(10.0)
            return SamplingResult(Decision.RECORD_AND_SAMPLE)

        def get_description(self) -> str:
            return "slow"

    provider.sampler = Slow()
    wire(registry, provider)
    call = make_call()
    sender = threading.Thread(target=lambda: call.activate().__enter__())
    sender.start()
    assert starting.wait(10.0)
    with call.activate():
        assert trace.get_current_span() is trace.INVALID_SPAN
    call.complete()
    assert exporter.get_finished_spans() == ()
    go_on.set()
    sender.join(10.0)
    assert (only(exporter).attributes or {})["midspan.operation.status"] == "completed"


# --- spans of other tools ------------------------------------------------------------------------

FOREIGN = [{"gen_ai.operation.name": "chat", "gen_ai.request.model": "theirs"}, {"openinference.span.kind": "LLM"}]


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("theirs", FOREIGN, ids=["gen_ai", "openinference"])
def test_the_span_of_another_tool_for_the_same_call_is_used_and_left_open(
    clock: FakeClock,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    make_call: MakeCall,
    theirs: dict[str, str],
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("their name", attributes=theirs) as foreign:
        call = make_call()
        with call.activate():
            assert trace.get_current_span() is foreign
        call.enter_stage("streaming_response")
        call.record_usage(output=5)
        clock.advance(1.0)
        call.complete()
        assert foreign.is_recording()
        assert call.get_progress_details().span_id == trace.format_span_id(foreign.get_span_context().span_id)
    span = only(exporter)
    assert (span.name, span.kind, span.status.status_code) == ("their name", SpanKind.INTERNAL, StatusCode.UNSET)
    assert [event.name.removeprefix("midspan.operation.") for event in span.events] == ["start", "update", "end"]
    ours = {key: value for key, value in (span.attributes or {}).items() if key.startswith("midspan.")}
    assert ours["midspan.operation.id"] == call.operation_id
    assert ours["midspan.operation.status"] == "completed"
    assert {key: value for key, value in (span.attributes or {}).items() if key not in ours} == theirs


@pytest.mark.usefixtures("recorder")
def test_the_span_of_another_tool_is_also_used_by_a_call_that_reached_no_transport(
    provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("their name", attributes=FOREIGN[0]):
        make_call().complete()
    assert only(exporter).name == "their name"


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    "around",
    [
        {},
        {"gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.operation.name": "execute_tool"},
        {"openinference.span.kind": "CHAIN"},
        {"http.request.method": "POST"},
    ],
)
def test_a_span_that_stands_around_calls_is_a_parent_and_nothing_more(
    provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall, around: dict[str, str]
) -> None:
    with provider.get_tracer("app").start_as_current_span("around", attributes=around):
        call = make_call()
        with call.activate():
            pass
        call.complete()
    ours, outer = exporter.get_finished_spans()
    assert ours.name == "chat gpt-x"
    assert ours.parent is not None
    assert ours.parent.span_id == outer.get_span_context().span_id
    assert outer.events == ()


@pytest.mark.usefixtures("recorder")
def test_one_span_of_another_tool_serves_one_call(
    provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("their name", attributes=FOREIGN[0]):
        for _ in range(2):
            call = make_call()
            with call.activate():
                pass
            call.complete()
    assert [span.name for span in exporter.get_finished_spans()] == ["chat gpt-x", "their name"]


@pytest.mark.usefixtures("recorder")
def test_nothing_is_written_on_a_span_that_its_tool_has_ended_early(
    clock: FakeClock, provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("their name", attributes=FOREIGN[0]):
        call = make_call()
        with call.activate():
            pass
    clock.advance(5.0)
    call.enter_stage("streaming_response")
    call.complete()
    assert only(exporter).events == ()


@pytest.mark.usefixtures("recorder")
def test_a_span_that_its_tool_has_ended_before_the_call_is_not_used(
    provider: TracerProvider, exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("old", attributes=FOREIGN[0], end_on_exit=False) as old:
        old.end()
        make_call().complete()
    assert [span.name for span in exporter.get_finished_spans()] == ["old", "chat gpt-x"]


# --- without a recording span --------------------------------------------------------------------


def test_an_unsampled_call_is_tracked_and_its_trace_goes_on(registry: ProgressRegistry, make_call: MakeCall) -> None:
    wire(registry, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    call = make_call()
    with call.activate():
        current = trace.get_current_span().get_span_context()
    call.enter_stage("streaming_response")
    call.complete()
    details = call.get_progress_details()
    assert not current.trace_flags.sampled
    assert (details.trace_id, details.span_id) == (
        trace.format_trace_id(current.trace_id),
        trace.format_span_id(current.span_id),
    )
    assert details.status is Status.COMPLETED


def disabled_sdk(monkeypatch: pytest.MonkeyPatch) -> trace.TracerProvider:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    return TracerProvider(shutdown_on_exit=False)


@pytest.mark.parametrize("make", [lambda _: trace.NoOpTracerProvider(), disabled_sdk], ids=["no sdk", "disabled"])
def test_without_an_sdk_everything_is_tracked_and_nothing_is_bound(
    registry: ProgressRegistry,
    make_call: MakeCall,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[pytest.MonkeyPatch], trace.TracerProvider],
) -> None:
    wire(registry, make(monkeypatch))
    with registry.create_tracker("job") as job:
        call = make_call()
        with call.activate():
            job.update(progress=0.5)
        call.complete()
    details = registry.get("job")
    assert details is not None
    assert (details.status, details.trace_id, details.span_id) == (Status.COMPLETED, None, None)
    assert call.get_progress_details().span_id is None


def test_without_an_sdk_a_remote_parent_is_nobodys_own_span(registry: ProgressRegistry) -> None:
    wire(registry, trace.NoOpTracerProvider())
    remote = SpanContext(0xA, 0xB, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with trace.use_span(NonRecordingSpan(remote)):
        first, second = registry.create_tracker(), registry.create_tracker()
    assert registry.by_span(trace.format_span_id(0xB)) is None
    assert first.get_progress_details().span_id is second.get_progress_details().span_id is None


def test_a_provider_that_the_application_sets_later_is_used() -> None:
    script = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.tracker import ProgressRegistry

registry, exporter, provider = ProgressRegistry(), InMemorySpanExporter(), TracerProvider()
registry.add_processor(SpanRecorder(registry))
registry.create_tracker(name="before").complete()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
registry.create_tracker(name="after").complete()
print([span.name for span in exporter.get_finished_spans()])
"""
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=found, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("['after']", "")


# --- being current, wherever it is left ----------------------------------------------------------


@pytest.mark.usefixtures("recorder")
def test_a_with_block_may_be_left_in_another_context_than_it_was_entered_in(
    exporter: InMemorySpanExporter, make_call: MakeCall
) -> None:
    call = make_call()
    active = call.activate()
    contextvars.copy_context().run(active.__enter__)
    contextvars.copy_context().run(active.__exit__, None, None, None)
    call.complete()
    assert only(exporter).name == "chat gpt-x"


@pytest.mark.usefixtures("recorder")
def test_a_with_block_may_be_left_in_another_thread(exporter: InMemorySpanExporter, make_call: MakeCall) -> None:
    call = make_call()
    active = call.activate()
    for step in (active.__enter__, lambda: active.__exit__(None, None, None)):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    call.complete()
    assert only(exporter).name == "chat gpt-x"


@pytest.mark.usefixtures("recorder")
def test_a_call_that_has_ended_is_not_made_current_again(make_call: MakeCall) -> None:
    call = make_call()
    call.complete()
    with call.activate():
        assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.usefixtures("recorder")
def test_a_handle_to_an_operation_that_ended_long_ago_starts_no_span(
    registry: ProgressRegistry, exporter: InMemorySpanExporter
) -> None:
    registry.create_tracker("old").complete()
    handle = registry.get_tracker("old")
    assert handle is not None
    with handle.activate():
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert len(exporter.get_finished_spans()) == 1


class Broken(trace.NoOpTracerProvider):
    def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
        raise RuntimeError("no tracer today")


def test_a_broken_tracer_changes_nothing_for_the_application(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch, make_call: MakeCall
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    wire(registry, Broken())
    answers: Sequence[int] = []
    call = make_call()
    with call.activate(), registry.create_tracker():
        answers = [1]
    call.complete()
    assert answers == [1]
    assert call.status is Status.COMPLETED
    assert failures.counts()["spans"] == 1
