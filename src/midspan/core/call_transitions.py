"""What happens to calls of a model alone: connections, prompts, first chunks, tokens. As in `transitions.py`."""

from __future__ import annotations

from midspan.core.bounds import MAX_COUNT
from midspan.core.operation import Stage, Status
from midspan.core.stages import PROMPT_PLAN
from midspan.core.state import State
from midspan.core.transitions import LOUD, NONE, QUIET, drop, enter_stage, raise_floor, remember

_TOKENS = "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens"


def begin(state: State, now: float, stage: Stage) -> int:
    """A new call enters its first stage: what `enter_stage` would do, written out, because nobody has seen it yet."""
    state.status = Status.RUNNING
    state.stage = stage
    state.started_at = state.stage_since = state.progressed_at = state.updated_at = now
    state.updates, state.sequence = 1, 2
    state.history = [
        (1, "start", now, None, None, None, None, None),
        (2, "stage", now, stage, None, None, None, None),
    ]
    return LOUD


def first_chunk(state: State, now: float, stage: str) -> int:
    """The first chunk of the answer is here: its delay in seconds is kept, and `stage` entered."""
    if state.ended_at is None and state.time_to_first_chunk is None:
        state.time_to_first_chunk = max(0.0, now - (state.started_at or state.created_at))
    return enter_stage(state, now, stage)


def process_prompt(state: State, now: float, processed: float, total: float) -> int:
    """So many of the prompt's `total` tokens have been processed: progress of the stage before the first chunk."""
    if state.ended_at is not None:
        return drop(state)
    if not 0 <= processed <= total or not total:
        state.dropped += 1
        return NONE
    if state.plan is None:
        state.plan = PROMPT_PLAN
    change = enter_stage(state, now, Stage.WAITING_FIRST_CHUNK) or QUIET
    state.stage_progress = max(state.stage_progress or 0.0, processed / total)
    if Stage.WAITING_FIRST_CHUNK in state.plan:
        start, end = state.plan[Stage.WAITING_FIRST_CHUNK]
        raise_floor(state, now, start + (end - start) * state.stage_progress)
    state.progressed_at = state.updated_at = now
    state.updates += 1
    state.sequence += 1
    return change


def record_usage(
    state: State,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    cached_tokens: int | None = None,
) -> int:
    """Token usage as the server told it: it replaces every estimate."""
    if state.ended_at is not None:
        return drop(state)
    for name, told in zip(_TOKENS, (input_tokens, output_tokens, reasoning_tokens, cached_tokens), strict=True):
        # A server's JSON may hold anything.
        if told is None:
            continue
        if told.__class__ is int and 0 <= told <= MAX_COUNT:
            setattr(state, name, told)
            state.tokens_reported = state.tokens_reported or name == "output_tokens"
        else:
            state.dropped += 1
    state.sequence += 1
    return QUIET


def connect(state: State, now: float) -> int:
    """A connection is made before the request is sent: what has begun as the sending was this from its beginning."""
    if state.stage != Stage.SENDING_REQUEST or (state.counts is not None and state.counts.passed):
        return enter_stage(state, now, Stage.CONNECTING_TO_MODEL)
    if state.ended_at is not None:
        return drop(state)
    state.stage = Stage.CONNECTING_TO_MODEL
    if state.history and state.history[-1][1] == "stage":
        state.history.pop()
    state.progressed_at = state.updated_at = now
    state.updates += 1
    remember(state, state.stage_since, "stage")
    return LOUD
