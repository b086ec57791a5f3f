"""Reading Google's objects that stand for jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import astuple

from midspan_instrumentation.jobs._stainless import answer_in
from midspan_instrumentation.jobs._table import ErrorInfo, JobReading, Status, unix
from midspan_instrumentation.providers import _gemini_interactions
from midspan_instrumentation.providers._fields import field, items, number, text, whole

_RUNNING = "UNSPECIFIED QUEUED PENDING RUNNING CANCELLING PAUSED UPDATING PROCESSING"
STATES = {
    **dict.fromkeys(_RUNNING.split(), Status.RUNNING),
    "SUCCEEDED": Status.COMPLETED,
    "PARTIALLY_SUCCEEDED": Status.COMPLETED,
    "ACTIVE": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "EXPIRED": Status.FAILED,
    "CANCELLED": Status.CANCELLED,
    # Those of interactions.
    **dict.fromkeys(("queued", "in_progress"), Status.RUNNING),
    **dict.fromkeys(("completed", "incomplete", "requires_action", "requires_continuation"), Status.COMPLETED),
    **dict.fromkeys(("failed", "budget_exceeded"), Status.FAILED),
    "cancelled": Status.CANCELLED,
}


def read(answer: object) -> Iterator[JobReading]:
    """Any of the SDK's objects for jobs, or a list of such."""
    for found in (answer, *(each for name in _LISTS for each in items(field(answer, name)))):
        kind = type(found).__name__
        if kind in ("BatchJob", "TuningJob", "File"):
            yield from _read_job(kind, found)
        elif kind.endswith("Operation"):
            yield from _read_operation(found)
        elif kind == "Interaction":
            yield from read_interaction(found)


_LISTS = ("batch_jobs", "tuning_jobs", "files")
_PERCENTAGES = ("progressPercent", "progressPercentage", "progress")
"""Each service has its own word for how far an operation is."""
_MODEL_OF_OPERATION = re.compile("models/([^/]+)/operations/")
_KINDS = {
    "BatchJob": ("batch", "batch"),
    "TuningJob": ("fine_tuning", "fine_tuning"),
    "File": ("file_transfer", "file"),
}


def _read_job(kind: str, job: Any) -> Iterator[JobReading]:
    state, job_id = _word(field(job, "state")), text(field(job, "name"))
    stats = field(job, "completion_stats")
    succeeded, failed = whole(field(stats, "successful_count")), whole(field(stats, "failed_count"))
    missing = whole(field(stats, "incomplete_count"))  # -1: not known
    known = succeeded is not None and missing is not None and missing >= 0
    if job_id is not None:
        yield JobReading(
            id=job_id,
            state=state,
            stage=None if state is None else state.lower(),
            kind=_KINDS[kind][0],
            name=_KINDS[kind][1],
            model=_model(text(field(job, "model")) or text(field(job, "base_model"))),
            succeeded=succeeded,
            failed=failed,
            total=(succeeded or 0) + (failed or 0) + (missing or 0) if known else None,
            unit="request",
            created_at=unix(field(job, "create_time")),
            ended_at=unix(field(job, "end_time")),
            error=_read_error(field(job, "error")),
        )


def _model(told: str | None) -> str | None:
    """As the calls name it, without the place where it is kept: `models/…`, `publishers/google/models/…`."""
    return None if told is None else told.rpartition("models/")[2]


def _word(state: object) -> str | None:
    """A state as it is told, without what they all begin with."""
    told = text(getattr(state, "value", state))
    return None if told is None else told.removeprefix("JOB_").removeprefix("STATE_")


def kind_of(operation: object) -> str:
    """What a long-running operation makes."""
    return "video" if "Video" in type(operation).__name__ else "file_transfer"


def _read_operation(operation: Any) -> Iterator[JobReading]:
    job_id, error = text(field(operation, "name")), field(operation, "error")
    state = "RUNNING" if field(operation, "done") is not True else "SUCCEEDED" if error is None else "FAILED"
    told = (number(field(field(operation, "metadata"), name)) for name in _PERCENTAGES)
    percentage = next((each for each in told if each is not None), None)
    if job_id is not None:
        yield JobReading(
            id=job_id,
            state=state,
            stage=state.lower(),
            kind=kind_of(operation),
            model=next(iter(_MODEL_OF_OPERATION.findall(job_id)), None),
            progress=None if percentage is None else percentage / 100,
            error=_read_error(error),
        )


def read_interaction(result: object) -> Iterator[JobReading]:
    """An `Interaction`, also in a raw response. It does not say whether it was made in the background."""
    found = answer_in(result)
    job_id, state = text(field(found, "id")), text(field(found, "status"))
    usage = _gemini_interactions.read_usage(field(found, "usage"))
    if job_id and state:
        yield JobReading(
            id=job_id,
            state=state,
            kind="llm_request",
            name="generate_content",
            model=text(field(found, "model")),
            created_at=_moment(field(found, "created")),
            ended_at=_moment(field(found, "updated")),
            usage=None if usage is None else astuple(usage),
        )


def _moment(told: object) -> float | None:
    try:
        return unix(datetime.fromisoformat(told)) if isinstance(told, str) else None
    except ValueError:
        return None


def _read_error(error: object) -> ErrorInfo | None:
    code = field(error, "code")
    return (
        None
        if error is None
        else ErrorInfo(type=f"code {code}" if code else "error", message=text(field(error, "message")))
    )
