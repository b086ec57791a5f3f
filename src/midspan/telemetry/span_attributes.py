"""State → attributes of spans and span events. Names and numbers, and content only where it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from midspan.core import estimate, names
from midspan.core.operation import Status
from midspan.core.state import State
from midspan.telemetry import messages

Attributes = dict[str, AttributeValue]


def span_name(state: State) -> str:
    """`{gen_ai.operation.name} {gen_ai.request.model}` of an instrumented call, else the operation's own name."""
    if not state.span_deferred:
        return state.name
    given = state.attributes or {}
    operation = given.get(names.GEN_AI_OPERATION) or state.name
    model = given.get(names.GEN_AI_MODEL) or state.model
    return f"{operation} {model}" if model else str(operation)


def identity(state: State) -> Attributes:
    """Which operation it is; a call's name is its `gen_ai.operation.name`. Each attribute costs the SDK 1.5 µs."""
    found: Attributes = {names.OPERATION_ID: state.operation_id, names.OPERATION_TYPE: state.operation_type}
    if not state.span_deferred:
        found[names.OPERATION_NAME] = state.name
    return found


def at_creation(state: State) -> Attributes:
    """What a span of our own begins with; the conventions want a call's names there, for samplers."""
    found = identity(state)
    if state.span_deferred:
        found[names.GEN_AI_OPERATION] = state.name
    if state.provider:
        found[names.GEN_AI_PROVIDER] = state.provider
    if state.model:
        found[names.GEN_AI_MODEL] = state.model
    if state.attributes:
        found.update(state.attributes)
    return found


def _known(values: Mapping[str, AttributeValue | None]) -> Attributes:
    return {key: value for key, value in values.items() if value is not None}


def of_start(state: State) -> Attributes:
    """The first event: everything else stands on the span itself."""
    return {names.SEQUENCE: 1}


def of_stage(row: tuple[Any, ...]) -> Attributes:
    """A stage that was entered before anybody cared, as the operation's history has it."""
    sequence, _, _, stage, progress, step, message, _ = row
    return _known(
        {
            names.SEQUENCE: sequence,
            names.STAGE: stage,
            names.PROGRESS: progress,
            names.STEP_INDEX: step,
            names.MESSAGE: message,
        }
    )


def of_update(state: State, now: float) -> Attributes:
    """How far the operation is at `now` (Unix seconds); what is unknown is left out."""
    # Without the state's lock: the span's is held here, and a signal handler may come to the two in the other order.
    fraction = estimate.progress(state)
    seconds, _ = estimate.remaining(state, fraction, now)
    return _known(
        {
            names.SEQUENCE: state.sequence,
            names.STAGE: state.stage,
            names.PROGRESS: fraction[0],
            names.STEP_INDEX: state.step,
            names.STEP_COUNT: state.total_steps,
            names.MESSAGE: state.message,
            names.CHUNK_COUNT: state.chunks,
            names.TOKENS_OUTPUT: state.output_tokens,
            names.REMAINING_TIME: seconds,
            names.STALLED: state.stalled or None,
            names.PAST_DEADLINE: estimate.past_deadline(state, now),
            names.WILL_MISS_DEADLINE: estimate.will_miss_deadline(state, seconds, now),
        }
    )


def of_end(state: State) -> Attributes:
    """The last event: how it ended and how far it came; stage and chunks stand on the span itself."""
    return _known(
        {
            names.SEQUENCE: state.sequence,
            names.OPERATION_STATUS: str(state.status),
            names.ERROR_TYPE: None if state.error is None else state.error.type,
            names.PROGRESS: estimate.progress(state)[0],
            names.STEP_INDEX: state.step,
            names.MESSAGE: state.message,
            names.TOKENS_OUTPUT: state.output_tokens,
            names.PAST_DEADLINE: estimate.past_deadline(state, state.updated_at),
        }
    )


def common(state: State) -> Attributes:
    """What every log record says about its operation: the labels of its metrics, and its id."""
    return _known(
        {
            names.OPERATION_ID: state.operation_id,
            names.OPERATION_TYPE: state.operation_type,
            names.OPERATION_NAME: state.name,
            names.GEN_AI_PROVIDER: state.provider,
            names.GEN_AI_MODEL: state.model,
        }
    )


def final(state: State, own: bool) -> Attributes:
    """What stands on a span of the operation when it ends.

    On our `own` also what the answer said, usage as the server told it, and the error: an adopted one has its owner's.
    """
    found: Attributes = {names.OPERATION_STATUS: str(state.status)}
    if state.chunks is not None:
        found[names.CHUNK_COUNT] = state.chunks
    if state.status is not Status.COMPLETED and state.stage is not None:
        found[names.STAGE] = state.stage
    if not own:
        return found
    if state.learned:
        found.update(state.learned)
    for key, count in (
        (names.GEN_AI_INPUT_TOKENS, state.input_tokens),
        (names.GEN_AI_OUTPUT_TOKENS, state.output_tokens if state.tokens_reported else None),
        (names.GEN_AI_CACHED_TOKENS, state.cached_tokens),
        (names.GEN_AI_REASONING_TOKENS, state.reasoning_tokens),
        (names.GEN_AI_FIRST_CHUNK, state.time_to_first_chunk),
    ):
        if count is not None:
            found[key] = count
    if state.error is not None:
        found[names.ERROR_TYPE] = state.error.type
    if state.content is not None and state.content.capture.span:
        found.update(messages.on_span(state, state.content))
    return found
