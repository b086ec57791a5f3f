"""Anthropic's message batches: how far one is, nobody knows before it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.jobs._stainless import answer_in, pages
from midspan_instrumentation.jobs._table import JobReading, JobTable, Poll, Status, methods, named, unix
from midspan_instrumentation.providers._fields import field, items, text, whole

if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatch

STATES = {
    "in_progress": Status.RUNNING,
    "canceling": Status.RUNNING,
    "ended": Status.COMPLETED,
    "canceled": Status.CANCELLED,
    "expired": Status.FAILED,
}
"""The last two are no words of the API for a batch, but for what became of its requests."""


def read(result: object) -> Iterator[JobReading]:
    """A batch, a page of batches, or a raw response with one."""
    answer = answer_in(result)
    for found in (answer, *items(field(answer, "data"))):
        if field(found, "type") == "message_batch":
            yield _read_batch(cast("MessageBatch", found))


def _read_batch(batch: MessageBatch) -> JobReading:
    state, counts = text(batch.processing_status), batch.request_counts
    is_over = state == "ended"
    told = {name: whole(field(counts, name)) or 0 for name in ("succeeded", "errored", "expired", "canceled")}
    if is_over and told["canceled"] and field(batch, "cancel_initiated_at") is not None:
        state = "canceled"
    elif is_over and told["expired"] and not told["succeeded"]:
        state = "expired"
    return JobReading(
        id=batch.id,
        state=state,
        # Until then every request counts as being processed: that is not 0 %.
        succeeded=told["succeeded"] if is_over else None,
        failed=told["errored"] + told["expired"] if is_over else None,
        cancelled=told["canceled"] if is_over else None,
        total=sum(told.values()) if is_over else None,
        unit="request",
        created_at=unix(field(batch, "created_at")),
        ended_at=unix(field(batch, "ended_at")),
    )


_BATCHES, _OF_BETA = "anthropic.resources.messages.batches", "anthropic.resources.beta.messages.batches"
_BY_ID = named("message_batch_id", "batch")


def _retrieve(client: Any, job_id: str) -> Any:
    batches = getattr(client.messages, "batches", None) or client.beta.messages.batches
    return batches.retrieve(job_id)


TABLE = JobTable(
    provider="anthropic",
    states=STATES,
    read=read,
    targets=(
        *methods(_BATCHES, "Batches", read, _BY_ID, made="create", asked="retrieve cancel", optional=True),
        *methods(_OF_BETA, "Batches", read, _BY_ID, made="create", asked="retrieve cancel", optional=True),
        *pages("anthropic", read),
    ),
    polls=(Poll("batch", "msgbatch", (_retrieve,)),),
    client="anthropic:Anthropic",
)
