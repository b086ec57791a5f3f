"""Progress from outside: operations of programs in any language, written over HTTP.

Each request is checked as a whole before anything changes, and then changes the operation at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from midspan.core import call_transitions, transitions
from midspan.core.bounds import MAX_AMOUNT, MAX_COUNT
from midspan.core.operation import ErrorInfo, Operation, Status
from midspan.core.state import State
from midspan.core.text import MAX_MESSAGE, MAX_METADATA_KEYS, MAX_METADATA_VALUE, MAX_NAME, MAX_STAGE, check_id, clean
from midspan.server.body import invalid
from midspan.server.problem import Problem
from midspan.tracking.outcome import MAX_RESULT_BYTES, kept_result
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Message = Annotated[str, Meta(max_length=MAX_MESSAGE)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Amount = Annotated[float, Meta(ge=0, le=MAX_AMOUNT)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(gt=0, le=MAX_AMOUNT)]
Time = Annotated[datetime, Meta(tz=True)]
Value = Annotated[str, Meta(max_length=MAX_METADATA_VALUE)] | float | bool | None
Metadata = Annotated[dict[Name, Value], Meta(max_length=MAX_METADATA_KEYS)]


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tokens as the model's server has told them."""

    input: Count | None = None
    output: Count | None = None
    reasoning: Count | None = None
    cached: Count | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why an operation failed: a type of low cardinality, such as an exception's name, and a message."""

    type: Name
    message: Message | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is new about an operation; what is not given stays as it is.

    `sequence` is the operation's own that the report was made from: another one since then is a conflict. `completed`
    is how much is done in all. `error`, `result` and `status_reason` belong to an ending.
    """

    sequence: Count | None = None
    status: Literal["running", "completed", "failed", "cancelled"] | None = None
    status_reason: Message | None = None
    stage: Annotated[str, Meta(min_length=1, max_length=MAX_STAGE)] | None = None
    message: Message | None = None
    progress: Fraction | None = None
    step: Count | None = None
    total_steps: Count | None = None
    completed: Amount | None = None
    total: Amount | None = None
    unit: Name | None = None
    tokens: Usage | None = None
    metadata: Metadata | None = None
    error: Failure | None = None
    result: Any = None


ENDINGS = {
    "error": ("failed",),
    "result": ("completed",),
    "status_reason": ("completed", "failed", "cancelled"),
}
"""Fields of a `Report` that come with certain statuses only."""


def _rule(field: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    """As JSON schema: the field is null or left out, or the status is one of these."""
    return {
        "if": {"properties": {field: {"not": {"type": "null"}}}, "required": [field]},
        "then": {"properties": {"status": {"enum": list(statuses)}}, "required": ["status"]},
    }


RULED_REPORT = Annotated[Report, Meta(extra_json_schema={"allOf": [_rule(*row) for row in ENDINGS.items()]})]
"""A report as its JSON schema says all of it."""


class Creation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A new operation that is reported from outside. `cancel` says whether it looks at `cancel.requested_at`."""

    operation_id: Id | None = None
    operation_type: Name = "general"
    name: Name | None = None
    status: Literal["pending", "running"] = "running"
    provider: Name | None = None
    model: Name | None = None
    parent_id: Id | None = None
    deadline_at: Time | None = None
    stall_after_seconds: Seconds | None = None
    cancel: Literal["none", "cooperative"] = "none"
    stage: Annotated[str, Meta(min_length=1, max_length=MAX_STAGE)] | None = None
    message: Message | None = None
    progress: Fraction | None = None
    step: Count | None = None
    total_steps: Count | None = None
    total: Amount | None = None
    unit: Name | None = None
    metadata: Metadata | None = None


def create(registry: ProgressRegistry, asked: Creation, principal: str | None = None) -> Operation:
    """Register an operation. Raises Problem: 409 when the id is known, 422 for a reserved one, 503 when it is full."""
    if asked.operation_id is not None:
        _check_new(registry, asked.operation_id)
    if registry.external.is_full:
        detail = "too many operations are reported from outside; end some of them"
        raise Problem(503, "too-many-operations", detail, headers={"retry-after": "5"})
    tracker = ProgressTracker(
        asked.operation_id,
        asked.operation_type,
        asked.total_steps,
        name=asked.name,
        total=asked.total,
        unit=asked.unit,
        metadata=asked.metadata,
        parent=asked.parent_id,
        deadline=asked.deadline_at,
        stall_after=asked.stall_after_seconds,
        provider=asked.provider,
        model=asked.model,
        registry=registry,
    )
    tracker.state.principal = principal
    registry.external.add(tracker.state)
    tracker.apply(lambda state, now: _begin(state, now, asked))
    return tracker.get_progress_details()


def _check_new(registry: ProgressRegistry, operation_id: str) -> None:
    try:
        check_id(operation_id)
    except ValueError as error:
        raise invalid("operation_id", str(error)) from None
    if registry.get(operation_id) is not None:
        raise Problem(409, "operation-exists", f"there is an operation {operation_id!r} already")


def _begin(state: State, now: float, asked: Creation) -> int:
    state.cancel_mode = asked.cancel
    change = transitions.QUIET
    if asked.status == "running":
        change = transitions.start(state, now)
    if asked.stage is not None:
        change = max(change, transitions.enter_stage(state, now, asked.stage))
    if not (asked.step is asked.progress is asked.message is None):
        change = max(change, transitions.update(state, now, asked.step, asked.message, asked.progress))
    return change


def report(registry: ProgressRegistry, state: State, news: Report, expected: str | None = None) -> Operation:
    """Apply what is new; `expected` is `epoch-sequence` of the state that the caller has seen.

    Raises Problem: 409 for an operation that is not reported from outside, has ended, or has changed since; 422 for
    parts of an ending without one.
    """
    _check_ending(news)
    if not state.external:
        raise Problem(409, "not-external", f"operation {state.operation_id!r} is reported by its own process")
    conflicts: list[Problem] = []

    def change(state: State, now: float) -> int:
        conflict = _conflict(state, news, expected)
        conflicts.extend(conflict)
        return transitions.NONE if conflict else _apply(state, now, news)

    tracker = ProgressTracker.of(registry, state)
    tracker.apply(change)
    if news.status not in (None, "running") and not conflicts:
        _end(registry, state, news)
    for conflict in conflicts:
        raise conflict
    return tracker.get_progress_details()


def _check_ending(news: Report) -> None:
    for field, statuses in ENDINGS.items():
        if getattr(news, field) is not None and news.status not in statuses:
            raise invalid(field, f"is only for the status {' or '.join(statuses)}")
    if len(msgspec.json.encode(news.result)) > MAX_RESULT_BYTES:
        raise invalid("result", f"has more than {MAX_RESULT_BYTES} bytes of JSON")


def _conflict(state: State, news: Report, expected: str | None) -> list[Problem]:
    """Why the report does not fit to what the operation is now; empty when it does."""
    now = f"{state.epoch}-{state.sequence}"
    if state.is_ended:
        return [ended(state.operation_id, state.status)]
    if expected not in (None, now) or news.sequence not in (None, state.sequence):
        detail = f"operation {state.operation_id!r} has changed since: it is at sequence {state.sequence}"
        return [Problem(409, "sequence-conflict", detail, sequence=state.sequence)]
    return []


def ended(operation_id: str, status: Status, error: ErrorInfo | None = None) -> Problem:
    """The problem (409) with an operation that has ended, and with which error."""
    detail = f"operation {operation_id!r} has ended: {status}"
    members = {} if error is None else {"error": msgspec.structs.asdict(error)}
    return Problem(409, "operation-ended", detail, operation_status=status, **members)


def _apply(state: State, now: float, news: Report) -> int:
    change = transitions.start(state, now)
    if news.total_steps is not None:
        transitions.set_total_steps(state, news.total_steps)
    if news.total is not None or news.unit is not None:
        transitions.set_total(state, state.total if news.total is None else news.total, news.unit)
    if news.completed is not None:
        transitions.advance(state, now, news.completed - (state.completed or 0.0))
    if news.tokens is not None:
        tokens = news.tokens
        call_transitions.record_usage(state, tokens.input, tokens.output, tokens.reasoning, tokens.cached)
    if news.stage is not None:
        change = max(change, transitions.enter_stage(state, now, news.stage))
    # Always, because a report that says nothing is a sign of life.
    return max(change, transitions.update(state, now, news.step, news.message, news.progress, news.metadata))


def _end(registry: ProgressRegistry, state: State, news: Report) -> None:
    reason = None if news.status_reason is None else clean(news.status_reason)
    result = None if news.result is None else kept_result(news.result)
    error = ErrorInfo(type="error") if news.status == "failed" else None
    if news.error is not None:
        message = news.error.message
        error = ErrorInfo(type=clean(news.error.type, MAX_NAME), message=None if message is None else clean(message))
    registry.end(state, Status(news.status), reason, error=error, result=result)
