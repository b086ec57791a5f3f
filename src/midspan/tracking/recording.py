"""Operations that another tool's span stands for: begun and ended with the span's own times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from midspan.core import call_transitions, genai, transitions
from midspan.core.genai import Description
from midspan.core.state import State
from midspan.tracking.arguments import new_id
from midspan.tracking.tracker import ProgressRegistry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

UNSEEN_STALL_AFTER: Final = 600.0
"""Seconds: nothing is seen of such an operation's progress, so it stalls where SDKs' own clients give up."""


def begin(
    registry: ProgressRegistry, described: Description, span: ReadableSpan, parent_id: str | None = None
) -> State:
    """Register the operation of a span as running since the span's start."""
    started = registry.clock() if span.start_time is None else span.start_time / 1e9
    state = State(new_id(), described.operation_type, described.name, started)
    state.provider, state.model = described.provider, described.model
    state.parent_id = parent_id
    state.stall_after = registry.stall_after.get(described.operation_type, UNSEEN_STALL_AFTER)
    # Known before anybody is told: an operation that has a span gets no other one.
    trace_id, span_id, sampled = state.trace_id, state.span_id, state.sampled = _ids(span)
    with state.lock:
        transitions.start(state, started)
    registry.add(state)
    registry.bind_span(state, trace_id, span_id, sampled)
    return state


def _ids(span: ReadableSpan) -> tuple[str, str, bool]:
    context = span.get_span_context() or trace.INVALID_SPAN_CONTEXT
    sampled = context.trace_flags.sampled
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), sampled


def use(registry: ProgressRegistry, state: State, attributes: genai.Attributes) -> None:
    """Take over what the span of an LLM call says about its usage and its model."""
    usage = genai.usage_of(attributes)
    with state.lock:
        if state.is_ended:
            return
        state.provider = state.provider or genai.provider_of(attributes)
        state.model = state.model or genai.model_of(attributes)
        if usage is None or state.tokens_reported:
            return
        change = call_transitions.record_usage(state, *usage)
    registry.publish(state, change)


def end(registry: ProgressRegistry, state: State, span: ReadableSpan) -> None:
    """End the operation as its span says, and when."""
    failed = span.status.status_code is StatusCode.ERROR
    attributes = span.attributes or {}
    ending = genai.ending_of(attributes, failed, _exception(span) if failed else None, span.status.description)
    at = registry.clock() if span.end_time is None else span.end_time / 1e9
    registry.end(state, ending.status, ending.reason, error=ending.error, at=at)


def _exception(span: ReadableSpan) -> str | None:
    """The type of the last exception that the span has recorded."""
    for event in reversed(span.events):
        kind = (event.attributes or {}).get("exception.type")
        if isinstance(kind, str):
            return kind
    return None
