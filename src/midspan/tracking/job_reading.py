"""What an answer says about a job at a provider, and what of it is new for the job's operation."""

from __future__ import annotations

from operator import ne

from msgspec import Struct

from midspan.core import call_transitions, transitions
from midspan.core.bounds import MAX_COUNT, amount, moment
from midspan.core.operation import ErrorInfo, OperationType, Status
from midspan.core.state import State
from midspan.core.text import clean


class JobReading(Struct, frozen=True):
    """What one answer of a provider says about a job; what it does not say is None.

    `id` and `state` are the provider's own words; without a state the job has to be known already. `kind` is the
    operation's type ("" where it is not known), `name` its name (by default the kind), `stage` its stage (by default
    the state). `progress` is a fraction from 0 to 1; `completed` and `total` count `unit`s; `added` units were done by
    the call itself. Times are Unix seconds; `finish_at` is when the provider expects it to end. `usage` are input,
    output, reasoning and cached tokens.
    """

    id: str
    state: str | None = None
    kind: str = OperationType.BATCH
    name: str | None = None
    stage: str | None = None
    model: str | None = None
    progress: float | None = None
    step: int | None = None
    total_steps: int | None = None
    completed: float | None = None
    total: float | None = None
    unit: str | None = None
    added: float | None = None
    succeeded: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    created_at: float | None = None
    ended_at: float | None = None
    finish_at: float | None = None
    error: ErrorInfo | None = None
    usage: tuple[int | None, ...] | None = None


class Sighting(Struct, frozen=True):
    """A reading, and what its state means: None for a word that nobody knows, and where it has none."""

    reading: JobReading
    status: Status | None


def take_over(state: State, now: float, seen: Sighting) -> int:
    """The transition for a sighting: how loud the change is, NONE where nothing is new. It never ends the operation."""
    reading, status = seen.reading, seen.status
    if state.is_ended:
        return transitions.NONE
    change = transitions.NONE
    if status is Status.RUNNING:
        state.status_reason = None
        change = transitions.enter_stage(state, now, reading.stage or reading.state or status)
    elif status is None and reading.state is not None:
        state.status_reason = clean(reading.state)
    if reading.finish_at is not None:
        state.finish_at = moment(reading.finish_at)
    return max(change, _count(state, now, reading), _report(state, now, reading))


def _count(state: State, now: float, reading: JobReading) -> int:
    """Counts are told in all: what is more than last time is advanced by."""
    change = transitions.NONE
    total = amount(reading.total)
    if total is not None and total != state.total:
        change = transitions.set_total(state, total, reading.unit)
    for outcome, told, known in (
        ("succeeded", reading.succeeded, state.succeeded),
        ("failed", reading.failed, state.failed),
        ("cancelled", reading.cancelled, state.items_cancelled),
    ):
        if told is not None and told != known and 0 <= told <= MAX_COUNT:
            change = max(change, transitions.advance(state, now, told - known, outcome))
    completed = amount(reading.completed)
    if completed is not None and completed != state.completed:
        change = max(change, transitions.advance(state, now, completed - (state.completed or 0.0)))
    if reading.added:
        change = max(change, transitions.advance(state, now, reading.added))
    return change


def _report(state: State, now: float, reading: JobReading) -> int:
    change = transitions.NONE
    if reading.total_steps is not None and reading.total_steps != state.total_steps:
        change = transitions.set_total_steps(state, reading.total_steps)
    step = reading.step if reading.step is not None and reading.step > (state.step or 0) else None
    told = reading.progress
    progress = told if told is not None and (state.reported is None or told > state.reported) else None
    if step is not None or progress is not None:
        change = max(change, transitions.update(state, now, step, None, progress))
    known = state.input_tokens, state.output_tokens, state.reasoning_tokens, state.cached_tokens
    if reading.usage is not None and any(map(ne, reading.usage, known)):
        change = max(change, call_transitions.record_usage(state, *reading.usage))
    return change
