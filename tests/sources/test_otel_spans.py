"""Other tools' GenAI spans are operations while they run, and one call is one operation whoever reports it first."""

from __future__ import annotations

import contextvars
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Span, StatusCode

from midspan.core import failures
from midspan.core.operation import Operation, Status
from midspan.sources.otel_spans import SpanMirror
from midspan.telemetry.spans import SpanRecorder
from midspan.tracking import instrumenting
from midspan.tracking.switches import disabled
from midspan.tracking.tracker import ProgressRegistry

StartSpan = Callable[..., Span]

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "writer"}

pytestmark = pytest.mark.usefixtures("mirror")


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    """No test is told of the calls that another one has made in this context."""
    token = instrumenting.last_call.set(None)
    yield
    instrumenting.last_call.reset(token)


def only(registry: ProgressRegistry) -> Operation:
    (operation,) = registry.operations()
    return operation


def hex_id(span: Span) -> str:
    return trace.format_span_id(span.get_span_context().span_id)


def call_of(model: str = "m", operation_type: str = "llm_request") -> instrumenting.CallTracker:
    return instrumenting.start_call(instrumenting.CallKind("chat", "openai", model, operation_type), stream=True)


class Ongoing:
    """What the instrumentation holds in `current_call` while an SDK's method runs."""

    def __init__(self, tracker: instrumenting.CallTracker) -> None:
        self.tracker = tracker


# --- a span alone -----------------------------------------------------------------------------------


def test_a_foreign_span_is_a_running_operation_since_its_own_start(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    span = start("chat m", CHAT)
    seen = only(registry)
    assert (seen.operation_type, seen.name, seen.provider, seen.model) == ("llm_request", "chat", "openai", "m")
    assert (seen.status, seen.span_id, seen.progress) == (Status.RUNNING, hex_id(span), None)
    assert seen.trace_id == trace.format_trace_id(span.get_span_context().trace_id)
    assert seen.started_at == seen.created_at == span.start_time / 1e9  # type: ignore[attr-defined]
    assert registry.by_span(hex_id(span)) is not None


def test_a_span_without_a_scope_is_another_tools(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    mirror.enabled = False
    span: Any = start("chat m", CHAT)
    mirror.enabled = True
    span._instrumentation_scope = None
    mirror.on_start(span)
    assert only(registry).name == "chat"


def test_it_ends_with_the_span_at_the_spans_own_time_and_with_its_usage(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    span = start("chat m", CHAT)
    span.set_attribute("gen_ai.usage.input_tokens", 7)
    span.set_attribute("gen_ai.usage.output_tokens", 3)
    end = time.time_ns() + 5_000_000_000
    span.end(end)
    seen = only(registry)
    assert (seen.status, seen.ended_at, seen.error) == (Status.COMPLETED, end / 1e9, None)
    assert seen.tokens is not None
    assert (seen.tokens.input, seen.tokens.output, seen.tokens.estimated) == (7, 3, False)


def test_a_span_with_an_error_is_a_failed_operation(registry: ProgressRegistry, provider: TracerProvider) -> None:
    tracer = provider.get_tracer("theirs")
    with pytest.raises(TimeoutError), tracer.start_as_current_span("chat m", attributes=CHAT):
        raise TimeoutError("no answer\nin time")
    error = only(registry).error
    assert only(registry).status is Status.FAILED
    assert error is not None
    assert (error.type, error.message) == ("TimeoutError", "TimeoutError: no answer")


def test_the_error_type_that_the_tool_has_written_wins(registry: ProgressRegistry, start: StartSpan) -> None:
    span = start("chat m", CHAT)
    span.record_exception(ValueError("x"))
    span.set_attribute("error.type", "rate_limit")
    span.set_status(StatusCode.ERROR)
    span.end()
    error = only(registry).error
    assert error is not None
    assert error.type == "rate_limit"


def test_an_exception_that_was_handled_is_no_failure(registry: ProgressRegistry, start: StartSpan) -> None:
    span = start("chat m", CHAT)
    span.record_exception(ValueError("tried again"))
    span.end()
    assert only(registry).status is Status.COMPLETED


def test_a_cancelled_task_is_no_failure(registry: ProgressRegistry, start: StartSpan) -> None:
    span = start("chat m", CHAT)
    span.set_attribute("error.type", "asyncio.exceptions.CancelledError")
    span.set_status(StatusCode.ERROR)
    span.end()
    assert (only(registry).status, only(registry).status_reason) == (Status.CANCELLED, "task cancelled")


def test_the_mirror_writes_nothing_on_the_span(
    registry: ProgressRegistry, recorder: SpanRecorder, start: StartSpan, exporter: InMemorySpanExporter
) -> None:
    span = start("chat m", CHAT)
    registry.pulse(registry.clock() + 100.0)
    span.end()
    (told,) = exporter.get_finished_spans()
    assert (dict(told.attributes or {}), told.events, told.status.status_code) == (CHAT, (), StatusCode.UNSET)
    assert len(registry.operations()) == 1


def test_a_mirrored_operation_is_counted_once_under_its_own_labels(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    start("chat m", CHAT).end()
    (series,) = registry.statistics.series()
    assert (tuple(series.labels), series.started) == (("llm_request", "chat", "openai", "m"), 1)
    assert series.ended[Status.COMPLETED] == 1


@pytest.mark.parametrize(
    ("attributes", "operation_type", "name"),
    [
        ({"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"}, "embedding", "embeddings"),
        (AGENT, "agent", "writer"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent", "the span"),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}, "tool", "search"),
        ({"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "crew"}, "workflow", "crew"),
        ({"gen_ai.operation.name": "retrieval"}, "retrieval", "the span"),
        ({"gen_ai.operation.name": "fetch_response", "gen_ai.request.model": "m"}, "general", "fetch_response"),
        ({"openinference.span.kind": "LLM", "llm.model_name": "m"}, "llm_request", "chat"),
        ({"openinference.span.kind": "EMBEDDING", "embedding.model_name": "m"}, "embedding", "embeddings"),
        ({"openinference.span.kind": "AGENT", "agent.name": "writer"}, "agent", "writer"),
        ({"openinference.span.kind": "TOOL", "tool.name": "search"}, "tool", "search"),
        ({"openinference.span.kind": "CHAIN"}, "workflow", "the span"),
        ({"openinference.span.kind": "RETRIEVER"}, "retrieval", "the span"),
        ({"openinference.span.kind": "RERANKER"}, "retrieval", "the span"),
        ({"openinference.span.kind": "PROMPT"}, "general", "the span"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_what_the_span_stands_for_gives_type_and_name(
    registry: ProgressRegistry, start: StartSpan, attributes: dict[str, str], operation_type: str, name: str
) -> None:
    span = start("the span", attributes)
    assert (only(registry).operation_type, only(registry).name) == (operation_type, name)
    assert only(registry).status is Status.RUNNING
    span.end()
    assert only(registry).status is Status.COMPLETED


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        {"http.request.method": "POST"},
        {"openinference.span.kind": "UNKNOWN"},
        {"gen_ai.operation.name": ""},
        {**CHAT, "logfire.span_type": "log"},
        {**CHAT, "logfire.span_type": "pending_span"},
        {**CHAT, "midspan.operation.id": "known"},
    ],
)
def test_no_other_span_is_an_operation(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan, attributes: dict[str, str] | None
) -> None:
    span = start("POST", attributes)
    mirror.look()
    span.end()
    assert registry.operations() == []


def test_openinferences_own_names_for_model_and_usage_are_read(registry: ProgressRegistry, start: StartSpan) -> None:
    span = start("ChatCompletion", {"openinference.span.kind": "LLM", "llm.system": "OpenAI"})
    span.set_attributes(
        {
            "llm.invocation_parameters": '{"model": "asked", "stream": true}',
            "llm.model_name": "answered-0001",
            "llm.token_count.prompt": 11,
            "llm.token_count.completion": 5,
            "llm.token_count.prompt_details.cache_read": 4,
            "llm.token_count.completion_details.reasoning": 2,
        }
    )
    span.end()
    seen = only(registry)
    assert (seen.provider, seen.model) == ("openai", "asked")
    assert seen.tokens is not None
    assert (seen.tokens.input, seen.tokens.output, seen.tokens.cached, seen.tokens.reasoning) == (11, 5, 4, 2)


# --- spans that say late what they are ----------------------------------------------------------------


def test_a_span_that_says_later_what_it_is_becomes_an_operation_with_its_own_start(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    span = start("openai.chat")
    assert registry.operations() == []
    span.set_attributes(CHAT)
    mirror.look()
    seen = only(registry)
    assert (seen.status, seen.model, seen.created_at) == (Status.RUNNING, "m", span.start_time / 1e9)  # type: ignore[attr-defined]


def test_a_call_without_its_model_is_waited_for_and_gets_the_labels_of_its_model(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    span = start("openai.chat", {"gen_ai.operation.name": "chat"})
    span.set_attribute("gen_ai.request.model", "m")
    mirror.look()
    (series,) = registry.statistics.series()
    assert series.labels.model == "m"


def test_a_span_that_says_only_at_its_end_what_it_is_is_an_ended_operation(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    span = start("openai.response")
    for _ in range(10):
        mirror.look()
    span.set_attributes(CHAT)
    span.end()
    assert only(registry).status is Status.COMPLETED


# --- who is inside of whom ---------------------------------------------------------------------------


def test_a_call_inside_of_an_agent_is_its_child_also_with_other_spans_between(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    agent = start("invoke_agent writer", AGENT)
    between = start("POST", None, agent)
    call = start("chat m", CHAT, between)
    inner, outer = registry.operations()
    assert (outer.parent_id, inner.parent_id, inner.root_id) == (None, outer.operation_id, outer.operation_id)
    for span in (call, between, agent):
        span.end()
    assert {operation.status for operation in registry.operations()} == {Status.COMPLETED}


def test_a_span_inside_of_a_tracked_function_is_its_child(
    registry: ProgressRegistry, recorder: SpanRecorder, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("theirs")
    with registry.create_tracker("mine") as mine, tracer.start_as_current_span("chat m", attributes=CHAT):
        (inner, _) = registry.operations()
        assert inner.parent_id == mine.operation_id


def test_a_span_started_elsewhere_inside_of_a_tracked_functions_span_is_its_child(
    registry: ProgressRegistry, recorder: SpanRecorder, start: StartSpan
) -> None:
    with registry.create_tracker("mine"):
        ours = trace.get_current_span()
        contextvars.Context().run(start, "chat m", CHAT, ours)
        (inner, _) = registry.operations()
        assert inner.parent_id == "mine"


def test_a_tracked_function_and_a_call_inside_of_an_agent_are_its_children(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("theirs")
    with tracer.start_as_current_span("invoke_agent writer", attributes=AGENT):
        agent = only(registry)
        with registry.create_tracker("tool") as tool:
            assert tool.state.parent_id == agent.operation_id
            inner = call_of()
            assert inner.state.parent_id == "tool"
            inner.complete()
        outer = call_of()
        assert outer.state.parent_id == agent.operation_id
        outer.complete()


def test_an_agent_inside_of_a_tracked_function_stands_between_it_and_a_call(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("theirs")
    with registry.create_tracker("mine"), tracer.start_as_current_span("invoke_agent writer", attributes=AGENT):
        (agent, _) = registry.operations()
        call = call_of()
        assert (agent.parent_id, call.state.parent_id) == ("mine", agent.operation_id)
        call.complete()


# --- one operation a call ------------------------------------------------------------------------------


@pytest.mark.usefixtures("recorder")
def test_a_call_of_ours_inside_of_the_span_of_the_same_call_takes_its_operation_over(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT) as span:
        begun = only(registry)
        call = call_of()
        with call.activate():
            call.counts.singles = 2
        call.record_usage(input=7, output=3)
    # Their span may end before the answer has been read.
    assert only(registry).status is Status.RUNNING
    call.complete()
    seen = only(registry)
    assert (seen.operation_id, seen.status, seen.chunks) == (begun.operation_id, Status.COMPLETED, 2)
    assert (seen.stages_completed, seen.span_id) == (("sending_request",), hex_id(span))
    (told,) = exporter.get_finished_spans()
    assert (told.name, (told.attributes or {})["midspan.operation.id"]) == ("chat m", begun.operation_id)
    assert sum(series.started for series in registry.statistics.series()) == 1


@pytest.mark.usefixtures("recorder")
def test_a_call_that_reaches_no_transport_makes_no_second_span(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT):
        call_of().complete()
    assert len(registry.operations()) == len(exporter.get_finished_spans()) == 1


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("at_start", [CHAT, {}, {"gen_ai.operation.name": "chat"}], ids=["full", "none", "no model"])
def test_a_span_that_starts_inside_of_a_call_of_ours_joins_its_operation(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter, at_start: dict[str, str]
) -> None:
    call = call_of()
    token = instrumenting.current_call.set(Ongoing(call))
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=at_start) as span:
        span.set_attributes(CHAT)
        with call.activate():
            assert trace.get_current_span() is span
        instrumenting.current_call.reset(token)
        call.complete()
    assert (only(registry).operation_id, only(registry).span_id) == (call.operation_id, hex_id(span))
    assert len(exporter.get_finished_spans()) == 1


@pytest.mark.usefixtures("recorder")
def test_a_call_inside_of_a_span_that_says_nothing_of_its_model_yet_is_one_operation_with_the_calls_labels(
    registry: ProgressRegistry, provider: TracerProvider, mirror: SpanMirror
) -> None:
    attributes = {"gen_ai.operation.name": "chat"}
    with provider.get_tracer("theirs").start_as_current_span("openai.chat", attributes=attributes) as span:
        call = call_of()
        mirror.look()
        with call.activate():
            assert only(registry).span_id == hex_id(span)
        call.complete()
    assert only(registry).operation_id == call.operation_id
    assert [tuple(series.labels) for series in registry.statistics.series()] == [("llm_request", "chat", "openai", "m")]


def test_a_span_that_is_only_reported_after_the_call_joins_it(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    began = time.time_ns()
    call = call_of()
    call.complete()
    span = provider.get_tracer("theirs").start_span("openai.response", start_time=began)
    span.set_attributes(CHAT)
    span.end()
    assert only(registry).operation_id == call.operation_id


def test_a_span_that_says_only_at_its_end_that_it_was_around_a_call_joins_it(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    """As those of OpenInference for LangChain, which are never current either."""
    span = start("ChatOpenAI")
    call = call_of()
    call.complete()
    span.set_attributes(CHAT)
    span.end()
    assert only(registry).operation_id == call.operation_id


def test_the_next_call_of_the_same_context_is_another_operation(registry: ProgressRegistry, start: StartSpan) -> None:
    call_of().complete()
    start("chat m", CHAT).end()
    assert len(registry.operations()) == 2


def test_a_span_of_another_context_is_another_operation(registry: ProgressRegistry, provider: TracerProvider) -> None:
    began = time.time_ns()
    contextvars.copy_context().run(lambda: call_of().complete())
    provider.get_tracer("theirs").start_span("chat m", attributes=CHAT, start_time=began).end()
    assert len(registry.operations()) == 2


def test_two_tools_spans_of_one_call_are_one_operation_and_the_inner_ones_usage_is_used(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    outer = start("ChatOpenAI", {"openinference.span.kind": "LLM", "llm.model_name": "m"})
    inner = start("chat m", CHAT, outer)
    inner.set_attribute("gen_ai.usage.output_tokens", 3)
    inner.end()
    assert only(registry).status is Status.RUNNING
    outer.end()
    seen = only(registry)
    assert (seen.status, seen.span_id) == (Status.COMPLETED, hex_id(outer))
    assert seen.tokens is not None
    assert seen.tokens.output == 3


@pytest.mark.usefixtures("recorder")
def test_a_call_inside_of_two_tools_spans_of_it_is_one_operation(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("theirs")
    with (
        tracer.start_as_current_span("outer", attributes=CHAT),
        tracer.start_as_current_span("inner", attributes=CHAT),
    ):
        call = call_of()
        with call.activate():
            pass
        call.complete()
    assert only(registry).operation_id == call.operation_id


@pytest.mark.usefixtures("recorder")
def test_the_second_call_inside_of_one_span_is_an_operation_of_its_own(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT):
        for _ in range(2):
            call = call_of()
            with call.activate():
                pass
            call.complete()
    assert len(registry.operations()) == len(exporter.get_finished_spans()) == 2


@pytest.mark.usefixtures("recorder")
def test_of_two_calls_at_once_inside_of_one_span_one_takes_its_operation(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT):
        first, second = call_of(), call_of()
    assert len(registry.operations()) == 2
    assert second.state.parent_id == first.operation_id
    first.complete()
    assert not second.is_ended
    second.complete()


def test_a_call_of_another_type_does_not_take_the_operation_of_the_span_around_it(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT):
        chat = only(registry)
        embedding = call_of(operation_type="embedding")
        assert embedding.state.parent_id == chat.operation_id
        embedding.complete()
    assert len(registry.operations()) == 2


def test_an_agents_span_inside_of_a_call_of_ours_is_an_operation_of_its_own(
    registry: ProgressRegistry, start: StartSpan
) -> None:
    call = call_of()
    token = instrumenting.current_call.set(Ongoing(call))
    start("invoke_agent writer", AGENT).end()
    instrumenting.current_call.reset(token)
    call.complete()
    assert {operation.operation_type for operation in registry.operations()} == {"agent", "llm_request"}


@pytest.mark.usefixtures("recorder")
def test_our_own_spans_are_neither_mirrored_nor_remembered(
    registry: ProgressRegistry, mirror: SpanMirror, exporter: InMemorySpanExporter
) -> None:
    call = call_of()
    with call.activate(), registry.create_tracker("mine"):
        assert mirror.open == {}
    call.complete()
    assert len(registry.operations()) == len(exporter.get_finished_spans()) == 2


# --- what must not be seen, what is lost, what fails -------------------------------------------------------


@pytest.mark.parametrize("block", [disabled, suppress_instrumentation])
def test_a_suppressed_span_is_not_mirrored(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan, block: Callable[[], contextvars.Context]
) -> None:
    with block():  # type: ignore[attr-defined]
        spans = [start("chat m", CHAT), start("openai.chat")]
    spans[1].set_attributes(CHAT)
    mirror.look()
    for span in spans:
        span.end()
    assert registry.operations() == []


def test_a_span_that_is_sampled_out_is_nothing(registry: ProgressRegistry, mirror: SpanMirror) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(mirror)
    provider.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()
    assert registry.operations() == []


def test_a_span_that_is_dropped_unended_is_a_lost_operation(registry: ProgressRegistry, start: StartSpan) -> None:
    span = start("chat m", CHAT)
    assert only(registry).status is Status.RUNNING
    del span
    gc.collect()
    assert (only(registry).status, only(registry).status_reason) == (Status.LOST, "span never ended")


def test_a_dropped_span_of_a_call_of_ours_ends_with_the_call(
    registry: ProgressRegistry, provider: TracerProvider
) -> None:
    with provider.get_tracer("theirs").start_as_current_span("chat m", attributes=CHAT, end_on_exit=False) as span:
        call = call_of()
    del span
    gc.collect()
    assert only(registry).status is Status.RUNNING
    call.complete()
    assert only(registry).status is Status.COMPLETED


def test_nothing_is_remembered_of_spans_that_have_ended_or_were_dropped(mirror: SpanMirror, start: StartSpan) -> None:
    for _ in range(50):
        outer = start("outer")
        start("chat m", CHAT, outer).end()
        start("dropped", CHAT, outer)
        outer.end()
    gc.collect()
    mirror.look()
    ended = start("chat m", CHAT)
    ended.end()
    del outer, ended
    gc.collect()
    assert len(mirror._lost) == 0
    gc.collect()
    remembered = [each for each in gc.get_objects() if type(each).__name__ == "SeenSpan"]
    assert (len(mirror.open), remembered) == (0, [])


def test_a_mirror_that_hangs_at_a_provider_twice_sees_a_span_once(
    registry: ProgressRegistry, mirror: SpanMirror, provider: TracerProvider, start: StartSpan
) -> None:
    provider.add_span_processor(mirror)
    start("chat m", CHAT).end()
    assert only(registry).status is Status.COMPLETED


def test_switched_off_it_begins_nothing_and_ends_what_runs(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    running = start("chat m", CHAT)
    mirror.enabled = False
    start("chat m", CHAT).end()
    running.end()
    assert only(registry).status is Status.COMPLETED


def test_what_runs_in_the_parent_is_nothing_in_a_forked_child(
    registry: ProgressRegistry, mirror: SpanMirror, start: StartSpan
) -> None:
    span = start("chat m", CHAT)
    registry.clear()
    mirror.forked()
    span.end()
    assert registry.operations() == []


def test_a_failure_of_the_mirror_does_not_reach_the_application(
    registry: ProgressRegistry, start: StartSpan, monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    with monkeypatch.context() as broken:
        broken.setattr(registry, "clock", lambda: 1 / 0)
        broken.setattr(registry, "add", lambda _: 1 / 0)
        start("chat m", CHAT).end()
    assert len(exporter.get_finished_spans()) == 1
    assert failures.counts()["otel_spans"] == 1
