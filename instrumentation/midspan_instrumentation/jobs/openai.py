"""OpenAI's jobs: batches, fine-tunings, vector-store file batches, uploads, videos, and background responses."""

from __future__ import annotations

from typing import Any

from midspan_instrumentation.jobs._openai_readers import (
    STATES,
    WORKING,
    is_begun,
    read,
    read_added,
    read_event,
    read_page,
    read_response,
    read_streamed,
)
from midspan_instrumentation.jobs._stainless import pages
from midspan_instrumentation.jobs._table import JobStream, JobTable, JobTarget, Poll, methods, named
from midspan_instrumentation.providers._fields import field, text
from midspan_instrumentation.providers._openai_targets import responses

_RESOURCES = "openai.resources"
_RESPONSES = f"{_RESOURCES}.responses.responses"
_TARGETS = (
    *methods(
        f"{_RESOURCES}.batches", "Batches", read, named("batch_id", "batch"), made="create", asked="retrieve cancel"
    ),
    *methods(
        f"{_RESOURCES}.fine_tuning.jobs.jobs",
        "Jobs",
        read,
        named("fine_tuning_job_id", "fine_tuning"),
        made="create",
        asked="retrieve cancel pause resume",
        older_modules=(f"{_RESOURCES}.fine_tuning.jobs",),
        optional=True,
    ),
    *methods(
        f"{_RESOURCES}.vector_stores.file_batches",
        "FileBatches",
        read,
        named("batch_id", "batch", "file_batch"),
        made="create",
        asked="retrieve cancel",
        older_modules=(f"{_RESOURCES}.beta.vector_stores.file_batches",),
        optional=True,
    ),
    *methods(
        f"{_RESOURCES}.uploads.uploads",
        "Uploads",
        read,
        named("upload_id", "file_transfer", "upload"),
        made="create",
        asked="complete cancel",
        optional=True,
    ),
    *methods(
        f"{_RESOURCES}.videos",
        "Videos",
        read,
        named("video_id", "video"),
        made="create remix edit extend",
        asked="retrieve",
        optional=True,
    ),
    # Most responses are no jobs.
    *methods(_RESPONSES, "Responses", read, named("response_id"), asked="cancel", optional=True),
)
_RETRIEVE = JobTarget(
    _RESPONSES, "Responses.retrieve", read, named("response_id"), read_stream=read_streamed, optional=True
)
_CREATE = JobTarget(_RESPONSES, "Responses.create", read, read_how=is_begun, optional=True)
_PART = JobTarget(f"{_RESOURCES}.uploads.parts", "Parts.create", lambda _part: (), read_added, optional=True)


def _file_batch(client: Any, job_id: str) -> Any:
    """Asked for by the ids of its vector store and of its own, with a slash between."""
    store, _, batch = job_id.rpartition("/")
    stores = getattr(client, "vector_stores", None) or client.beta.vector_stores
    return stores.file_batches.retrieve(batch, vector_store_id=store)


def _address(job: object) -> str | None:
    store = text(field(job, "vector_store_id"))
    return None if store is None else f"{store}/{field(job, 'id')}"


STREAM = JobStream(
    target=responses(_RESPONSES, "Responses.retrieve"),
    read_event=read_event,
    read_job=read_response,
    working=WORKING,
    completed="completed",
)
TABLE = JobTable(
    provider="openai",
    states=STATES,
    read=read,
    targets=(
        *(*_TARGETS, _RETRIEVE, _RETRIEVE.as_async()),
        *(_PART, _PART.as_async(), *pages("openai", read_page)),
    ),
    begun=(_CREATE, _CREATE.as_async()),
    stream=STREAM,
    polls=(
        Poll("batch", "batch", (lambda client, job_id: client.batches.retrieve(job_id),)),
        Poll(
            "fine_tuning",
            "ftjob",
            (
                lambda client, job_id: client.fine_tuning.jobs.list_events(job_id, limit=20),
                lambda client, job_id: client.fine_tuning.jobs.retrieve(job_id),
            ),
        ),
        Poll("video", "video", (lambda client, job_id: client.videos.retrieve(job_id),)),
        Poll("file_batch", "vs_", (_file_batch,), "batch"),
        Poll("response", "resp", (lambda client, job_id: client.responses.retrieve(job_id),), "llm_request"),
    ),
    client="openai:OpenAI",
    read_address=_address,
)
