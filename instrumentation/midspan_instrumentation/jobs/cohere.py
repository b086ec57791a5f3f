"""Cohere's jobs: embeddings of whole datasets, batches, and fine-tunings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.jobs._table import (
    JobReading,
    JobTable,
    Poll,
    Status,
    methods,
    named,
    unix,
)
from midspan_instrumentation.providers._cohere import held
from midspan_instrumentation.providers._fields import field, items, text, whole

_RUNNING = (
    "PROCESSING CANCELLING CANCELING QUEUED IN_PROGRESS UNSPECIFIED FINETUNING DEPLOYING_API PAUSED TEMPORARILY_OFFLINE"
)
STATES = {
    **dict.fromkeys(_RUNNING.split(), Status.RUNNING),
    "COMPLETE": Status.COMPLETED,
    "COMPLETED": Status.COMPLETED,
    "READY": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "CANCELLED": Status.CANCELLED,
    "CANCELED": Status.CANCELLED,
    "DELETED": Status.CANCELLED,
}
_SINGLE, _LISTED = ("batch", "finetuned_model"), ("embed_jobs", "batches", "finetuned_models")


def read(answer: object) -> Iterator[JobReading]:
    """A job, what holds one, or a list of such."""
    held = (field(answer, name) for name in _SINGLE)
    listed = (each for name in _LISTED for each in items(field(answer, name)))
    for found in (answer, *held, *listed):
        if type(found).__name__ in ("EmbedJob", "CreateEmbedJobResponse"):
            yield _read_embed_job(found)
        elif type(found).__name__ == "Batch":
            yield _read_batch(found)
        elif type(found).__name__ == "FinetunedModel":
            yield _read_fine_tuning(found)


def _state(job: object) -> tuple[str | None, str | None]:
    """Its state, and that as a stage."""
    told = text(field(job, "status"))
    if told is None:
        return None, None
    word = told.upper().removeprefix("BATCH_").removeprefix("STATUS_")
    return word, word.lower()


def _read_embed_job(job: Any) -> JobReading:
    state, stage = _state(job)
    return JobReading(
        id=job.job_id,
        state=state or "PROCESSING",  # one that has just been made has none
        stage=stage or "processing",
        name="embed_job",
        model=text(field(job, "model")),
        created_at=unix(field(job, "created_at")),
    )


def _read_batch(batch: Any) -> JobReading:
    state, stage = _state(batch)
    total = whole(field(batch, "num_records"))
    return JobReading(
        id=batch.id,
        state=state,
        stage=stage,
        model=text(field(batch, "model")),
        succeeded=whole(field(batch, "num_successful_records")) if total else None,
        failed=whole(field(batch, "num_failed_records")) if total else None,
        total=total or None,
        unit="record",
        created_at=unix(field(batch, "created_at")),
        ended_at=unix(field(batch, "updated_at")) if STATES.get(state or "", Status.RUNNING).is_terminal else None,
    )


def _read_fine_tuning(model: Any) -> JobReading:
    state, stage = _state(model)
    base = field(field(model, "settings"), "base_model")
    return JobReading(
        id=model.id,
        state=state,
        stage=stage,
        kind="fine_tuning",
        model=text(field(base, "name")),
        created_at=unix(field(model, "created_at")),
        ended_at=unix(field(model, "completed_at")),
    )


# Clients ask what they give as `with_raw_response`: there applications are seen that ask that themselves.
_read_raw = held(read)

TABLE = JobTable(
    provider="cohere",
    states=STATES,
    read=read,
    targets=(
        *methods(
            "cohere.embed_jobs.raw_client",
            "RawEmbedJobsClient",
            _read_raw,
            named("id", "batch", "embed_job"),
            made="create",
            asked="get cancel",
            listed="list",
            optional=True,
        ),
        *methods(
            "cohere.batches.raw_client",
            "RawBatchesClient",
            _read_raw,
            named("id", "batch"),
            made="create",
            asked="retrieve cancel",
            listed="list",
            optional=True,
        ),
        *methods(
            "cohere.finetuning.raw_client",
            "RawFinetuningClient",
            _read_raw,
            named("id", "fine_tuning"),
            made="create_finetuned_model",
            asked="get_finetuned_model",
            listed="list_finetuned_models",
            optional=True,
        ),
    ),
    # Their ids are plain UUIDs: the first kind, unless another one is named.
    polls=(
        Poll("batch", "", (lambda client, job_id: client.batches.retrieve(job_id),)),
        Poll("embed_job", "", (lambda client, job_id: client.embed_jobs.get(job_id),), "batch"),
        Poll("fine_tuning", "", (lambda client, job_id: client.finetuning.get_finetuned_model(job_id),)),
    ),
    client="cohere:ClientV2",
    keeps_client=False,
)
