"""Every way an operation's state may change. The caller holds `state.lock`; nothing here calls out.

Each function returns how loud the change is: NONE (dropped), QUIET (the pulse tells readers) or LOUD (a stage,
a status or an ending: readers are told at once). Terminal is final: a late change is dropped and counted.
What happens to calls of a model alone stands in `call_transitions.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from midspan.core.bounds import MAX_AMOUNT, MAX_COUNT, amount, moment, whole_count
from midspan.core.content import Content
from midspan.core.estimate import sample, stalled
from midspan.core.operation import ErrorInfo, Stage, Status
from midspan.core.state import HISTORY_LIMIT, Counts, State
from midspan.core.text import MAX_MESSAGE, MAX_NAME, MAX_STAGE, clean, clean_metadata, is_plain, merge_clean

NONE, QUIET, LOUD = 0, 1, 2
Transition = Callable[[State, float], int]
MAX_STAGES_KEPT = 32
MAX_HISTORY = 2 * HISTORY_LIMIT
SETTLED_SECONDS = 0.05
"""A call that goes on for so long after a failed attempt will be tried again: else its client would have raised."""


def start(state: State, now: float) -> int:
    """pending → running; NONE when that has happened already."""
    if state.status is not Status.PENDING:
        return NONE
    state.status = Status.RUNNING
    state.started_at = state.stage_since = state.progressed_at = state.updated_at = now
    remember(state, now, "start")
    return LOUD


def update(
    state: State,
    now: float,
    step: int | None = None,
    message: str | None = None,
    progress: float | None = None,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Report a step, a message, a fraction or data. Values are clamped; a falling one is held."""
    if state.ended_at is not None:
        return drop(state)
    change = QUIET
    if state.started_at is None:
        change = start(state, now)
    if step is not None:
        _set_step(state, now, step)
    if progress is not None:
        _set_reported(state, now, progress)
    if message is not None and message != state.message:
        plain = len(message) <= MAX_MESSAGE and is_plain(message)
        state.message = message if plain else clean(message)
    if data:
        data = _set_metadata(state, data)
    # Written out instead of a call of _remember: this is the hottest line of the manual API.
    state.sequence += 1
    state.updates += 1
    state.updated_at = state.progressed_at = now
    history = state.history
    history.append(
        (state.sequence, "update", now, state.stage, state.floor or None, state.step, state.message, data or None)
    )
    if len(history) > MAX_HISTORY:
        del history[:HISTORY_LIMIT]
    return change


def remember(state: State, now: float, kind: str) -> None:
    state.sequence += 1
    history = state.history
    history.append((state.sequence, kind, now, state.stage, state.floor or None, state.step, state.message, None))
    if len(history) > MAX_HISTORY:
        del history[:HISTORY_LIMIT]


def drop(state: State) -> int:
    state.dropped += 1
    return NONE


def _set_step(state: State, now: float, step: int) -> None:
    total = state.total_steps
    if step < (state.step or 0) or step > (MAX_COUNT if total is None else total):
        step = _fitting_step(state, step, total)
    state.step = step
    if total:
        value = step / total if step < total else 1.0
        if value > state.floor or state.allow_regress:
            state.floor = value
            if now >= state.sample_due:
                sample(state, now, value)


def _fitting_step(state: State, step: int, total: int | None) -> int:
    """The step that is shown for one out of range or falling; each is counted."""
    highest = MAX_COUNT if total is None else total
    if not 0 <= step <= highest:
        state.dropped += 1
        step = 0 if step < 0 else highest
    if state.step is not None and step < state.step and not state.allow_regress:
        state.dropped += 1
        step = state.step
    return step


def _set_reported(state: State, now: float, progress: float) -> None:
    if progress != progress:  # NaN: no order, no place in a bar
        state.dropped += 1
        return
    if not 0.0 <= progress <= 1.0:
        state.dropped += 1
        progress = 0.0 if progress < 0.0 else 1.0
    if state.reported is None or state.allow_regress or progress >= state.reported:
        state.reported = progress
    raise_floor(state, now, progress)


def raise_floor(state: State, now: float, value: float) -> None:
    if value > state.floor or state.allow_regress:
        state.floor = value
        if now >= state.sample_due:
            sample(state, now, value)


def _set_metadata(state: State, data: Mapping[str, Any]) -> dict[str, Any]:
    if state.metadata is None:
        state.metadata = {}
    taken = clean_metadata(data)
    state.dropped += len(data) - len(taken) + merge_clean(state.metadata, taken)
    return taken


def set_total_steps(state: State, total_steps: int) -> int:
    """Declare how many steps there are; the shown progress does not fall when the number grows."""
    if state.ended_at is not None:
        return drop(state)
    state.total_steps = whole_count(total_steps)
    return QUIET


def set_total(state: State, total: float | None, unit: str | None = None) -> int:
    """Declare how many items there are (`None`: unknown) and what one is called."""
    if state.ended_at is not None:
        return drop(state)
    state.total = amount(total)
    state.dropped += state.total is None and total is not None
    state.unit = clean(unit, MAX_NAME) if unit else state.unit
    return QUIET


def advance(state: State, now: float, items: float, outcome: str | None = None) -> int:
    """Add `items` to `completed`; `outcome` is succeeded, failed or cancelled, to count how they ended."""
    if state.ended_at is not None:
        return drop(state)
    if not -MAX_AMOUNT <= items <= MAX_AMOUNT:
        return drop(state)
    change = start(state, now) or QUIET
    state.completed = min(max(0.0, (state.completed or 0.0) + items), MAX_AMOUNT)
    if outcome is not None:
        _count_outcome(state, int(items), outcome)
    if state.total:
        raise_floor(state, now, min(1.0, state.completed / state.total))
    state.progressed_at = state.updated_at = now
    state.updates += 1
    state.sequence += 1
    return change


def _count_outcome(state: State, items: int, outcome: str) -> None:
    if outcome == "succeeded":
        state.succeeded += items
    elif outcome == "failed":
        state.failed += items
    else:
        state.items_cancelled += items


def enter_stage(state: State, now: float, stage: str, message: str | None = None, progress: float | None = None) -> int:
    """Enter a stage, ending the one before. NONE when the operation is in it already and nothing else is new.

    `progress` is what is reached when it begins.
    """
    if state.ended_at is not None:
        return drop(state)
    if state.counts is not None and state.counts.passed:
        _pass(state, state.counts)
    change = start(state, now) if state.started_at is None else NONE
    if message is not None:
        state.message = clean(message)
    if stage == state.stage:
        return change or (QUIET if message is not None else NONE)
    if state.stage is not None:
        _leave_stage(state, now, state.stage)
    state.stage_since = now
    state.stage = stage if stage.__class__ is Stage else clean(stage, MAX_STAGE)
    if state.waiting_for is not None:
        state.waiting_for = None
    if state.stage_progress is not None:
        state.stage_progress = None
    state.progressed_at = state.updated_at = now
    if state.plan and stage in state.plan:
        raise_floor(state, now, state.plan[stage][0])
    if progress is not None:
        _set_reported(state, now, progress)
    state.updates += 1
    remember(state, now, "stage")
    return LOUD


def _leave_stage(state: State, now: float, stage: str) -> None:
    if len(state.stage_times) < MAX_STAGES_KEPT:
        state.stage_times.append((stage, max(0.0, now - state.stage_since)))
    if stage not in state.stages_completed and len(state.stages_completed) < MAX_STAGES_KEPT:
        state.stages_completed.append(stage)


def _pass(state: State, counts: Counts) -> None:
    passed = counts.passed or []
    noted = tuple(passed)
    # Not emptied: the call may have noted another one meanwhile.
    del passed[: len(noted)]
    for at, stage in noted:
        enter_stage(state, at, stage)


def absorb(state: State, now: float) -> int:
    """Take over what the transport and the stream's reader have noted since the last time."""
    counts = state.counts
    if counts is None or state.ended_at is not None:
        return NONE
    before = state.sequence
    if counts.passed:
        _pass(state, counts)
    if counts.failed is not None and now - counts.failed.at >= SETTLED_SECONDS:
        _wait(state, counts)
    chunks, tokens = counts.chunks, counts.tokens
    if chunks == (state.chunks or 0) and counts.bytes == (state.bytes or 0):
        return NONE if state.sequence == before else LOUD
    if chunks:
        state.chunks = chunks
    state.bytes = counts.bytes or None
    if not state.tokens_reported and tokens:
        state.output_tokens = tokens
        if state.max_tokens and now >= state.sample_due:
            sample(state, now, min(1.0, tokens / state.max_tokens))
    if state.content is not None:
        state.preview = state.content.preview()
    state.progressed_at = state.updated_at = now
    state.updates += 1
    state.sequence += 1
    return QUIET if state.sequence == before + 1 else LOUD


def notice(state: State, now: float) -> int:
    """A running operation has stalled, or a stalled one moves again: once each, whenever somebody looks."""
    if stalled(state, now) == state.stalled or state.ended_at is not None:
        return NONE
    state.stalled = not state.stalled
    remember(state, now, "stall" if state.stalled else "resume")
    return LOUD


def wait_to_retry(state: State, now: float, seconds: float | None, waiting_for: str, reason: str | None = None) -> int:
    """An attempt has failed, and the next one begins in `seconds` (None: nobody has said when).

    `waiting_for` is retry or rate_limit; `reason` is what the attempt failed with, kept as the `status_reason`.
    """
    if state.ended_at is not None:
        return drop(state)
    if state.counts is not None:
        state.counts.failed = None
    change = enter_stage(state, now, Stage.RETRYING)
    state.waiting_for, state.status_reason = waiting_for, reason
    state.next_retry_at = None if seconds is None else moment(now + seconds)
    return change


def _wait(state: State, counts: Counts) -> None:
    """Nobody but the transport has seen that an attempt failed: the call goes on, so it waits for the next one."""
    failed = counts.failed
    if failed is not None:
        seconds = None if failed.until is None else failed.until - failed.at
        wait_to_retry(state, failed.at, seconds, failed.waiting_for, failed.reason)


def retry(state: State, now: float, attempt: int) -> int:
    """A further attempt of the same operation is sent, whether or not anybody has told of the wait for it."""
    if state.ended_at is not None:
        return drop(state)
    if state.counts is not None:
        _wait(state, state.counts)
    enter_stage(state, now, Stage.RETRYING)
    state.attempt, state.next_retry_at, state.status_reason = max(state.attempt, attempt), None, None
    return enter_stage(state, now, Stage.SENDING_REQUEST)


def request_cancel(state: State, now: float) -> int:
    """Somebody asked for the operation to be cancelled; whether and when it stops is its own affair."""
    if state.ended_at is not None:
        return NONE
    state.cancel_requested_at = state.cancel_requested_at or now
    state.updated_at = now
    remember(state, now, "update")
    return LOUD


def end(
    state: State,
    now: float,
    status: Status,
    reason: str | None = None,
    message: str | None = None,
    error: ErrorInfo | None = None,
    result: object = None,
) -> int:
    """Reach a terminal status. A completed operation is at 1.0 unless its item counts say otherwise."""
    if state.ended_at is not None:
        return drop(state)
    if state.started_at is None:
        start(state, now)
    if state.counts is not None:
        # Its client has given up.
        state.counts.failed = None
        absorb(state, now)
    if state.stage is not None:
        _leave_stage(state, now, state.stage)
    state.stage_since = now
    state.status, state.status_reason, state.error = status, reason, error
    if state.waiting_for is not None or state.next_retry_at is not None:
        state.waiting_for = state.next_retry_at = None
    if message is not None:
        state.message = clean(message)
    if result is not None:
        state.result = result
    if state.content is not None:
        _take_content(state, state.content)
    if status is Status.COMPLETED and not (state.total and (state.completed or 0.0) < state.total):
        state.floor = state.reported = 1.0
    state.ended_at = state.updated_at = now
    remember(state, now, "end")
    return LOUD


def _take_content(state: State, content: Content) -> None:
    state.preview = content.preview()
    if state.result is None:
        state.result = content.answer()


def leave_to_parent(state: State, now: float) -> None:
    """In a forked child: the operation goes on in the parent. Here it has ended, so that nobody counts it twice.

    The one transition without the lock, which a thread that is not there may have held.
    """
    state.lock = threading.RLock()
    state.warned, state.span = True, None
    if state.ended_at is None:
        state.status, state.status_reason, state.ended_at = Status.LOST, "left to the parent process", now
