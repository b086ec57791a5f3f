"""Jobs that run at a provider and outlive the calls that see them: one operation each, whichever call sees it.

A call that has seen a job hands in what it saw; what is new of it becomes the operation's progress.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

from msgspec.structs import replace

from midspan.core import transitions
from midspan.core.bounds import moment
from midspan.core.failures import logger
from midspan.core.known_jobs import KnownJob
from midspan.core.operation import ErrorInfo, Status
from midspan.core.registry import AlreadyRunningError
from midspan.core.state import State
from midspan.core.text import MAX_NAME, check_id, clean
from midspan.tracking.activation import current_tracker
from midspan.tracking.arguments import new_id, word
from midspan.tracking.job_reading import JobReading, Sighting, take_over
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

STALL_AFTER: Final = 3600.0
"""Seconds: for types of jobs that have no limit of their own in the settings."""
UNSEEN: Final = 30 * 86_400.0
"""Seconds: while nobody looks at a job, nobody can tell whether it stands still."""
HISTORY: Final = 86_400.0
"""Seconds: what had ended longer than that before it was first seen is no news to anybody."""
MAX_WORDS: Final = 100

ASKED_FOR: Final = "asked_for"
"""The stage of a job that was asked for, and that the provider does not know."""

CREATED, ASKED, LISTED = "created", "asked", "listed"
"""How a job was seen: by the call that has made it, by one that asked for it, or among others."""

States = Mapping[str, Status]
"""A provider's words for the states of its jobs → what they mean."""

_unknown: set[tuple[str, str]] = set()


def saw_job(
    provider: str, reading: JobReading, states: States, how: str = ASKED, client: object = None
) -> State | None:
    """Take over what an answer says about a job. Returns its operation's state; None for a job that is not shown.

    The operation is opened at the job's first sight: for one that runs, or that had ended within the day before, unless
    it was only listed. A state that is not in `states` is kept as `status_reason`, and logged once.
    """
    registry = get_progress_registry()
    status = None if reading.state is None else states.get(reading.state)
    if status is None and reading.state is not None:
        _log_unknown(provider, reading.state)
    known = _known(registry, provider, reading, status, how)
    if known is None:
        return None
    if client is not None:
        known.seen_by(client)
    for seen in known.turns(Sighting(reading, status)):
        _take(registry, known, seen)
    return known.state


def find_job(provider: str, job_id: str) -> KnownJob[Sighting] | None:
    """The job, if it was seen before in this process."""
    known = get_progress_registry().known_jobs.find(provider, job_id)
    return cast("KnownJob[Sighting] | None", known)


def refused_job(provider: str, asked: JobReading, error: ErrorInfo) -> None:
    """The provider does not know the job that was asked for (any more): its operation has failed with this error.

    One that was never seen gets an operation for it, if `asked` has a kind.
    """
    known = find_job(provider, asked.id)
    if known is None and asked.kind:
        saw_job(provider, replace(asked, state=ASKED_FOR, stage=None), {ASKED_FOR: Status.RUNNING})
        known = find_job(provider, asked.id)
    if known is not None and not known.state.is_ended:
        known.is_refused = True
        get_progress_registry().end(known.state, Status.FAILED, error=error)


def became_job(provider: str, job_id: str, state: State) -> bool:
    """An operation that runs goes on as this job; False when another one stands for it, or there is no room."""
    registry = get_progress_registry()
    made = KnownJob[object](state, _limit(registry, state.operation_type))
    made.is_open = True
    if registry.known_jobs.add(provider, job_id, made) is not made:
        return False
    _leave_alone(made, provider)
    return True


def _known(
    registry: ProgressRegistry, provider: str, reading: JobReading, status: Status | None, how: str
) -> KnownJob[Sighting] | None:
    known = find_job(provider, reading.id)
    if known is not None and known.is_refused and reading.state is not None:
        # What was asked for too soon has appeared.
        registry.known_jobs.forget(provider, reading.id, cast("KnownJob[object]", known))
        known = None
    return _add(registry, provider, reading, status, how) if known is None else known


def _add(
    registry: ProgressRegistry, provider: str, reading: JobReading, status: Status | None, how: str
) -> KnownJob[Sighting] | None:
    now = registry.clock()
    if not _is_news(reading, status, how, now):
        return None
    made = KnownJob[object](_new_state(registry, provider, reading, now), _limit(registry, reading.kind))
    known = registry.known_jobs.add(provider, reading.id, made)
    if known is None:
        registry.statistics.suppressed["jobs"] += 1
    return cast("KnownJob[Sighting] | None", known)


def _is_news(reading: JobReading, status: Status | None, how: str, now: float) -> bool:
    if reading.state is None:
        return False
    if status is None or not status.is_terminal or how == CREATED:
        return True
    return how == ASKED and reading.ended_at is not None and now - reading.ended_at <= HISTORY


def _new_state(registry: ProgressRegistry, provider: str, reading: JobReading, now: float) -> State:
    told = None if reading.created_at is None else moment(reading.created_at)
    created = now if told is None else min(told, now)
    kind = clean(reading.kind, MAX_NAME)
    state = State(shown_id(reading.id), kind, clean(reading.name or kind, MAX_NAME), created)
    state.provider, state.model = word(provider), word(reading.model)
    state.parent_id = registry.around(current_tracker.get())
    if state.operation_id != reading.id:
        state.metadata = {"job_id": clean(reading.id)}
    with state.lock:
        transitions.start(state, created)
    state.progressed_at = now
    return state


_OTHER_CHARACTERS: Final = r"[^A-Za-z0-9._:-]"


def shown_id(job_id: str) -> str:
    """The id under which the API shows a job: its own, with `.` for what no path can hold."""
    candidate = re.sub(_OTHER_CHARACTERS, ".", job_id).lstrip(".:_-")
    try:
        return check_id(candidate)
    except ValueError:
        return new_id()


def _limit(registry: ProgressRegistry, kind: str) -> float:
    return registry.stall_after.get(kind, STALL_AFTER)


def _open(registry: ProgressRegistry, known: KnownJob[Sighting]) -> None:
    """Register the operation, under the job's own id wherever that is free."""
    known.is_open = True
    state = known.state
    state.stall_after = known.limit  # what the metrics tell
    try:
        registry.add(state)
    except AlreadyRunningError:
        state.operation_id = new_id()
        registry.add(state)
    _leave_alone(known, state.provider)


def _leave_alone(known: KnownJob[Sighting] | KnownJob[object], provider: str | None) -> None:
    known.state.at_exit = f"left running at {provider}"
    known.state.stall_after = UNSEEN


def _take(registry: ProgressRegistry, known: KnownJob[Sighting], seen: Sighting) -> None:
    if not known.is_open:
        _open(registry, known)
    state, now = known.state, registry.clock()
    with state.lock:
        before = state.sequence
        change = take_over(state, now, seen)
        _look_for_stall(known, now, state.sequence != before)
    if change == transitions.LOUD or (change and registry.eager):
        registry.publish(state, change)
    if seen.status is not None and seen.status.is_terminal and not state.is_ended:
        _end(registry, state, seen.reading, seen.status, now)


def _look_for_stall(known: KnownJob[Sighting], now: float, moved: bool) -> None:
    """Only by looking at it can a job be found standing still."""
    state = known.state
    if moved:
        state.stall_after = UNSEEN
    elif now - state.progressed_at > known.limit:
        state.stall_after = known.limit


def _end(registry: ProgressRegistry, state: State, reading: JobReading, status: Status, now: float) -> None:
    error = None
    if status is Status.FAILED:
        error = reading.error or ErrorInfo(type=clean(reading.state or status, MAX_NAME))
        if not registry.capture.preview:
            # The message may repeat what was asked.
            error = ErrorInfo(type=error.type)
    reason = word(reading.state) if status is Status.CANCELLED else None
    at = now if reading.ended_at is None else min(max(reading.ended_at, state.created_at), now)
    state.learned_at = now
    registry.end(state, status, reason, error=error, at=at)


def _log_unknown(provider: str, word_: str) -> None:
    if (provider, word_) not in _unknown and len(_unknown) < MAX_WORDS:
        _unknown.add((provider, word_))
        logger.warning("midspan: %s tells a state of a job that is not known here: %r", provider, clean(word_))
