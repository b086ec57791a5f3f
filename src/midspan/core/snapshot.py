"""State and time → `Operation`: the one read model."""

from __future__ import annotations

from typing import Any

import msgspec

from midspan.core import estimate
from midspan.core.operation import Cancel, Event, ItemCounts, Operation, Owner, Tokens
from midspan.core.state import State
from midspan.core.transitions import absorb

ENDED_EVENTS = 8
MILESTONES = frozenset({"start", "stage", "end"})

_NO_CANCEL = Cancel()
_SAME = """
    status status_reason stage waiting_for step total_steps completed total unit message metadata result error provider
    model chunks bytes time_to_first_chunk attempt next_retry_at started_at updated_at progressed_at ended_at
    deadline_at parent_id root_id trace_id span_id epoch sequence
""".split()  # noqa: SIM905 - a list of one a line is longer than the rest of the file
"""What an operation and its state have in common."""


def snapshot(state: State, now: float, owner: Owner | None = None) -> Operation:
    """The operation at `now` (Unix seconds). Takes the state's lock for the time of copying."""
    with state.lock:
        absorb(state, now)
        return _copy(state, now, owner)


def _copy(state: State, now: float, owner: Owner | None) -> Operation:
    at = state.ended_at or now
    fraction = estimate.progress(state)
    if fraction[0] is not None and fraction[0] > state.floor and not state.allow_regress:
        state.floor = fraction[0]
    seconds, guess = (None, None) if state.ended_at else estimate.remaining(state, fraction, now)
    return Operation(
        operation_id=state.operation_id,
        operation_type=state.operation_type,
        name=state.name,
        status=state.status,
        status_reason=state.status_reason,
        stage=state.stage,
        stages_completed=tuple(state.stages_completed),
        waiting_for=state.waiting_for,
        progress=fraction[0],
        progress_source=fraction[1],
        step=state.step,
        total_steps=state.total_steps,
        completed=state.completed,
        total=state.total,
        unit=state.unit,
        counts=_item_counts(state),
        message=state.message,
        metadata=dict(state.metadata) if state.metadata else None,
        result=state.result,
        error=state.error,
        content_preview=state.preview,
        provider=state.provider,
        model=state.model,
        tokens=_tokens(state),
        chunks=state.chunks,
        bytes=state.bytes,
        time_to_first_chunk=state.time_to_first_chunk,
        tokens_per_second=estimate.token_rate(state, at),
        attempt=state.attempt,
        next_retry_at=state.next_retry_at,
        created_at=state.created_at,
        started_at=state.started_at,
        updated_at=state.updated_at,
        progressed_at=state.progressed_at,
        ended_at=state.ended_at,
        deadline_at=state.deadline_at,
        elapsed_seconds=max(0.0, at - (state.started_at or state.created_at)),
        estimated_remaining_seconds=seconds,
        estimate=guess,
        stalled=state.ended_at is None and estimate.stalled(state, now),
        cancel=_cancel(state),
        parent_id=state.parent_id,
        root_id=state.root_id,
        trace_id=state.trace_id,
        span_id=state.span_id,
        owner=owner,
        epoch=state.epoch,
        sequence=state.sequence,
        history=_history(state),
    )


def _cancel(state: State) -> Cancel:
    if state.cancel_mode == "none" and state.cancel_requested_at is None:
        return _NO_CANCEL
    return Cancel(mode=state.cancel_mode, requested_at=state.cancel_requested_at)


def _item_counts(state: State) -> ItemCounts | None:
    if not (state.succeeded or state.failed or state.items_cancelled):
        return None
    return ItemCounts(succeeded=state.succeeded, failed=state.failed, cancelled=state.items_cancelled)


def _tokens(state: State) -> Tokens | None:
    if state.input_tokens is None and state.output_tokens is None:
        return None
    return Tokens(
        input=state.input_tokens,
        output=state.output_tokens,
        reasoning=state.reasoning_tokens,
        cached=state.cached_tokens,
        estimated=state.output_tokens is not None and not state.tokens_reported,
    )


def _history(state: State) -> tuple[Event, ...]:
    rows = list(state.history)
    if state.ended_at is not None and len(rows) > ENDED_EVENTS:
        rows = _milestones(rows)
    return tuple(_event(row) for row in rows)


def _milestones(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """At most 8 rows of an ended operation: its stages and its ending first, then the latest others."""
    chosen = [row for row in rows if row[1] in MILESTONES][-ENDED_EVENTS:]
    room = ENDED_EVENTS - len(chosen)
    others = [row for row in rows if row[1] not in MILESTONES]
    return sorted(chosen + others[len(others) - room :] if room else chosen, key=_sequence)


def _sequence(row: tuple[Any, ...]) -> int:
    return row[0]


def _event(row: tuple[Any, ...]) -> Event:
    sequence, kind, at, stage, progress, step, message, data = row
    return Event(
        sequence=sequence,
        type=kind,
        at=at,
        stage=stage,
        progress=progress or None,
        step=step,
        message=message,
        data=data,
    )


def revive(operation: Operation) -> State:
    """A terminal state made from a kept operation, so that a handle to it reads like any other."""
    state = State(operation.operation_id, operation.operation_type, operation.name, operation.created_at)
    for name in _SAME:
        setattr(state, name, getattr(operation, name))
    state.floor, state.reported = operation.progress or 0.0, operation.progress
    state.stages_completed = list(operation.stages_completed)
    state.history.extend(msgspec.structs.astuple(event) for event in operation.history)
    counts, tokens = operation.counts or ItemCounts(), operation.tokens or Tokens()
    state.succeeded, state.failed = counts.succeeded, counts.failed
    state.items_cancelled = counts.cancelled
    state.input_tokens, state.output_tokens = tokens.input, tokens.output
    state.reasoning_tokens, state.cached_tokens = tokens.reasoning, tokens.cached
    state.tokens_reported = not tokens.estimated
    return state
