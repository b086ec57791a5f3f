"""Mistral's batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.jobs._table import (
    ASKED,
    CREATED,
    LISTED,
    ErrorInfo,
    JobReading,
    JobTable,
    JobTarget,
    Poll,
    Status,
    named,
    unix,
)
from midspan_instrumentation.provider import replace
from midspan_instrumentation.providers._fields import field, items, text, whole

STATES = {
    "QUEUED": Status.RUNNING,
    "RUNNING": Status.RUNNING,
    "CANCELLATION_REQUESTED": Status.RUNNING,
    "SUCCESS": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "TIMEOUT_EXCEEDED": Status.FAILED,
    "CANCELLED": Status.CANCELLED,
}


def read(answer: object) -> Iterator[JobReading]:
    """A batch, or a list of batches."""
    for found in (answer, *items(field(answer, "data"))):
        if field(found, "object") == "batch":
            yield _read_batch(found)


def _read_batch(batch: Any) -> JobReading:
    state, errors = text(batch.status), items(field(batch, "errors"))
    return JobReading(
        id=batch.id,
        state=state,
        stage=None if state is None else state.lower(),
        model=text(field(batch, "model")),
        succeeded=whole(field(batch, "succeeded_requests")),
        failed=whole(field(batch, "failed_requests")),
        total=whole(field(batch, "total_requests")) or None,
        unit="request",
        created_at=unix(field(batch, "created_at")),
        ended_at=unix(field(batch, "completed_at")),
        error=ErrorInfo(type=state or "failed", message=text(field(errors[0], "message"))) if errors else None,
    )


_CREATE = JobTarget("mistralai.client.jobs", "Jobs.create", read, how=CREATED)
_TARGETS = (
    _CREATE,
    replace(_CREATE, qualname="Jobs.get", read_call=named("job_id", "batch"), how=ASKED),
    replace(_CREATE, qualname="Jobs.cancel", read_call=named("job_id", "batch"), how=ASKED),
    replace(_CREATE, qualname="Jobs.list", how=LISTED),
)

TABLE = JobTable(
    provider="mistral_ai",
    states=STATES,
    read=read,
    targets=(*_TARGETS, *(replace(target, qualname=f"{target.qualname}_async", is_async=True) for target in _TARGETS)),
    # Its ids are plain UUIDs.
    polls=(Poll("batch", "", (lambda client, job_id: client.batch.jobs.get(job_id=job_id),)),),
    client="mistralai.client:Mistral",
    keeps_client=False,
)
