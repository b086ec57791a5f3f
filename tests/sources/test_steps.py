"""Steps whose spans say only at their end what they were, as OpenInference makes them: seen while they run."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from midspan.core.operation import Operation
from midspan.sources import steps
from midspan.sources.otel_spans import SpanMirror
from midspan.testing import Captured, capture
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

pytestmark = pytest.mark.usefixtures("mirror", "own_context")
Start = Callable[..., trace.Span]


@pytest.fixture
def own_context() -> Iterator[None]:
    """What is the last step of one test is not that of the next."""
    token = steps.last_step.set(None)
    yield
    steps.last_step.reset(token)


@pytest.fixture
def seen(registry: ProgressRegistry) -> Iterator[Captured]:
    with capture() as captured:
        yield captured


@pytest.fixture
def step(provider: TracerProvider) -> Callable[..., object]:
    """`with step("Own.retrieve", "RETRIEVER", inside=outer)`: its kind is set at its end, and it is not current."""

    @contextmanager
    def stepped(name: str, kind: str = "CHAIN", inside: trace.Span | None = None) -> Iterator[trace.Span]:
        context = trace.set_span_in_context(inside) if inside is not None else None
        span = provider.get_tracer("openinference.instrumentation.langchain").start_span(name, context)
        yield span
        span.set_attribute("openinference.span.kind", kind)
        span.end()

    return stepped


def told(seen: Captured) -> list[tuple[str, str, str, str | None]]:
    """Of each operation its type, name and status, and the name of the one around it."""
    names = {operation.operation_id: operation.name for operation in seen.operations}
    return [_told(operation, names) for operation in seen.operations]


def _told(operation: Operation, names: dict[str, str]) -> tuple[str, str, str, str | None]:
    return operation.operation_type, operation.name, operation.status, names.get(operation.parent_id or "")


def test_steps_around_others_run_from_their_inner_ones_start(step: Start, seen: Captured) -> None:
    with step("Sequence") as outer, step("AgentExecutor", "AGENT", outer) as inner:
        assert told(seen) == [("workflow", "Sequence", "running", None)]
        with step("Tool", "TOOL", inner):
            assert told(seen)[1] == ("agent", "AgentExecutor", "running", "Sequence")
    assert told(seen) == [
        ("workflow", "Sequence", "completed", None),
        ("agent", "AgentExecutor", "completed", "Sequence"),
        ("tool", "Tool", "completed", "AgentExecutor"),
    ]


def test_a_retriever_is_known_by_its_name(step: Start, seen: Captured) -> None:
    with step("VectorIndexRetriever.retrieve", "RETRIEVER"):
        assert told(seen) == [("retrieval", "VectorIndexRetriever.retrieve", "running", None)]


def test_the_methods_of_one_class_are_one_step(step: Start, seen: Captured, registry: ProgressRegistry) -> None:
    with (
        step("Engine.query") as outer,
        step("Engine._query", inside=outer) as inner,
        step("OwnRetriever.retrieve", "RETRIEVER", inner) as found,
        step("OwnRetriever._retrieve", "RETRIEVER", found) as last,
    ):
        # By nobody else: the exporter takes what is not.
        assert not registry.span_claims.claim(last.get_span_context().span_id)
    assert told(seen) == [
        ("workflow", "Engine.query", "completed", None),
        ("retrieval", "OwnRetriever.retrieve", "completed", "Engine.query"),
    ]


def test_the_methods_of_a_model_are_one_call_when_they_have_ended(step: Start, seen: Captured) -> None:
    with step("OpenAI.predict", "LLM") as outer, step("OpenAI.chat", "LLM", outer):
        assert seen.operations == []
    assert [line[:3] for line in told(seen)] == [("llm_request", "chat", "completed")] * 2


def test_what_runs_in_a_step_is_its_child_though_its_span_is_not_current(step: Start, seen: Captured) -> None:
    with step("Sequence") as outer, step("Model", "LLM", outer):
        ProgressTracker(operation_type="llm_request", name="chat").complete()
    assert told(seen)[1] == ("llm_request", "chat", "completed", "Sequence")


def test_what_runs_after_a_step_or_beside_it_is_no_child_of_it(step: Start, seen: Captured) -> None:
    beside = contextvars.copy_context()
    with step("Sequence") as outer, step("Prompt", "PROMPT", outer):
        beside.run(lambda: ProgressTracker(name="beside").complete())
    ProgressTracker(name="after").complete()
    assert {line[1]: line[3] for line in told(seen)} == {
        "Sequence": None, "Prompt": "Sequence", "beside": None, "after": None,
    }  # fmt: skip


def test_a_step_around_a_tracker_that_is_around_steps_is_not_mixed_up(step: Start, seen: Captured) -> None:
    with step("Sequence") as outer, step("Node", inside=outer), ProgressTracker(name="mine"):
        ProgressTracker(name="inner").complete()
    assert {line[1]: line[3] for line in told(seen)}["inner"] == "mine"


def test_a_forked_child_is_in_no_step(step: Start, seen: Captured, mirror: SpanMirror) -> None:
    with step("Sequence") as outer, step("Prompt", "PROMPT", outer):
        mirror.forked()
        assert steps.last_step.get() is None


def test_the_span_of_an_sdk_below_says_nothing_of_the_step_around_it(
    step: Start, provider: TracerProvider, seen: Captured
) -> None:
    tracer = provider.get_tracer("openinference.instrumentation.openai")
    with step("OpenAI.chat", "LLM") as outer:
        tracer.start_span("ChatCompletion", trace.set_span_in_context(outer)).end()
        assert seen.operations == []


@pytest.mark.parametrize("scope", ["theirs", "openinference"])
def test_spans_of_others_are_not_guessed_at(scope: str, provider: TracerProvider, seen: Captured) -> None:
    tracer = provider.get_tracer(scope)
    outer = tracer.start_span("GET /")
    tracer.start_span("OwnRetriever.retrieve", trace.set_span_in_context(outer)).end()
    outer.end()
    assert seen.operations == []
