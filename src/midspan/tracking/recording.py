"""Operations that another tool's span stands for: begun and ended with the span's own times."""

from __future__ import annotations

from typing import Final, NamedTuple

from midspan.core import genai, transitions
from midspan.core.genai import Description
from midspan.core.state import State
from midspan.tracking.arguments import new_id
from midspan.tracking.tracker import ProgressRegistry

UNSEEN_STALL_AFTER: Final = 600.0
"""Seconds: nothing is seen of such an operation's progress, so it stalls where SDKs' own clients give up."""


class SpanIds(NamedTuple):
    """A span's ids in hex, and whether it is sampled."""

    trace_id: str
    span_id: str
    sampled: bool


def begin(
    registry: ProgressRegistry,
    described: Description,
    span: SpanIds,
    started: float,
    parent_id: str | None = None,
) -> State:
    """Register the running operation of a span that started at `started` (Unix seconds)."""
    state = State(new_id(), described.operation_type, described.name, started)
    state.provider, state.model = described.provider, described.model
    state.parent_id = parent_id
    state.stall_after = registry.stall_after.get(described.operation_type, UNSEEN_STALL_AFTER)
    # Known before anybody is told: an operation that has a span gets no other one.
    state.trace_id, state.span_id, state.sampled = span
    with state.lock:
        transitions.start(state, started)
    registry.add(state)
    registry.bind_span(state, *span)
    return state


def use(registry: ProgressRegistry, state: State, attributes: genai.Attributes) -> None:
    """Take over what the span of an LLM call says about its usage and its model."""
    usage = genai.usage_of(attributes)
    with state.lock:
        if state.ended_at is not None or usage is None:
            return
        state.model = state.model or genai.model_of(attributes)
        if state.tokens_reported:
            return
        change = transitions.record_usage(state, *usage)
    registry.publish(state, change)
