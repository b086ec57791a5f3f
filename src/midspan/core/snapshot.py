"""State and time → `Operation`: the one read model."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import msgspec

from midspan.core import estimate
from midspan.core.operation import Cancel, Event, ItemCounts, Operation, Owner, Tokens
from midspan.core.state import HISTORY_LIMIT, State
from midspan.core.transitions import absorb

ENDED_EVENTS = 8
MILESTONES = frozenset({"start", "stage", "end"})

_SAME = """
    operation_id operation_type name created_at
    status status_reason stage stage_progress waiting_for step total_steps completed total unit message metadata result
    error provider model chunks bytes time_to_first_chunk attempt next_retry_at started_at updated_at progressed_at
    ended_at deadline_at parent_id root_id trace_id span_id epoch sequence
""".split()  # noqa: SIM905 - a list of one a line is longer than the rest of the file
"""What an operation and its state have in common."""

_same = attrgetter(*_SAME)


def snapshot(state: State, now: float, owner: Owner | None = None) -> Operation:
    """The operation at `now` (Unix seconds). Takes the state's lock for the time of copying."""
    return Operation(**facts(state, now, owner))


def facts(state: State, now: float, owner: Owner | None = None) -> dict[str, Any]:
    """The fields of the `snapshot` at `now` that are not at their default: what of an ended operation is kept."""
    with state.lock:
        absorb(state, now)
        return _copy(state, now, owner)


def _copy(state: State, now: float, owner: Owner | None) -> dict[str, Any]:
    at = state.ended_at or now
    fraction = estimate.progress(state)
    if fraction[0] is not None and fraction[0] > state.floor and not state.allow_regress:
        state.floor = fraction[0]
    # Only what is known is handed on: most of the fields of most operations are at their default.
    known = {name: value for name, value in zip(_SAME, _same(state), strict=True) if value is not None}
    known["progress"], known["progress_source"] = fraction
    known["elapsed_seconds"] = max(0.0, at - (state.started_at or state.created_at))
    known["history"] = _history(state)
    known["owner"] = owner if state.principal is None and not state.external else _owner(state, owner)
    known.update(_parts(state, at))
    if state.ended_at is None:
        known["estimated_remaining_seconds"], known["estimate"] = estimate.remaining(state, fraction, now)
        known["stalled"] = estimate.stalled(state, now)
    return known


def _parts(state: State, at: float) -> Iterator[tuple[str, Any]]:
    """What few operations have, or what is made of several facts."""
    if state.stages_completed:
        yield "stages_completed", tuple(state.stages_completed)
    if state.input_tokens is not None or state.output_tokens is not None:
        yield "tokens", _tokens(state)
        yield "tokens_per_second", estimate.token_rate(state, at)
    if state.preview is not None:
        yield "content_preview", state.preview
    if state.metadata:
        yield "metadata", dict(state.metadata)
    if state.succeeded or state.failed or state.items_cancelled:
        yield "counts", ItemCounts(succeeded=state.succeeded, failed=state.failed, cancelled=state.items_cancelled)
    if state.cancel_mode != "none" or state.cancel_requested_at is not None:
        yield "cancel", Cancel(mode=state.cancel_mode, requested_at=state.cancel_requested_at)


def _owner(state: State, process: Owner | None) -> Owner | None:
    """Whose it is; this process runs only what is not reported from outside."""
    if state.external:
        return None if state.principal is None else Owner(principal=state.principal)
    return msgspec.structs.replace(process or Owner(), principal=state.principal)


def _tokens(state: State) -> Tokens:
    return Tokens(
        input=state.input_tokens,
        output=state.output_tokens,
        reasoning=state.reasoning_tokens,
        cached=state.cached_tokens,
        estimated=state.output_tokens is not None and not state.tokens_reported,
    )


def _history(state: State) -> tuple[Event, ...]:
    rows = state.history[-HISTORY_LIMIT:]
    if state.ended_at is not None and len(rows) > ENDED_EVENTS:
        rows = _milestones(rows)
    return tuple([Event(*row) for row in rows])


def _milestones(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """At most 8 rows of an ended operation: its stages and its ending first, then the latest others."""
    chosen = [row for row in rows if row[1] in MILESTONES][-ENDED_EVENTS:]
    room = ENDED_EVENTS - len(chosen)
    others = [row for row in rows if row[1] not in MILESTONES]
    return sorted(chosen + others[len(others) - room :] if room else chosen, key=_sequence)


def _sequence(row: tuple[Any, ...]) -> int:
    return row[0]


def revive(operation: Operation) -> State:
    """A terminal state made from a kept operation, so that a handle to it reads like any other."""
    state = State(operation.operation_id, operation.operation_type, operation.name, operation.created_at)
    for name in _SAME:
        setattr(state, name, getattr(operation, name))
    state.floor, state.reported = operation.progress or 0.0, operation.progress
    state.preview = operation.content_preview
    state.principal = operation.owner.principal if operation.owner else None
    state.stages_completed = list(operation.stages_completed)
    state.history.extend(msgspec.structs.astuple(event) for event in operation.history)
    counts, tokens = operation.counts or ItemCounts(), operation.tokens or Tokens()
    state.succeeded, state.failed = counts.succeeded, counts.failed
    state.items_cancelled = counts.cancelled
    state.input_tokens, state.output_tokens = tokens.input, tokens.output
    state.reasoning_tokens, state.cached_tokens = tokens.reasoning, tokens.cached
    state.tokens_reported = not tokens.estimated
    return state
