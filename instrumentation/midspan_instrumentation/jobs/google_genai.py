"""Google's jobs: batches, tunings, files that are being processed, long-running operations such as videos, and
interactions in the background."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from midspan_instrumentation.jobs._google_readers import STATES, kind_of, read, read_interaction
from midspan_instrumentation.jobs._table import (
    LISTED,
    JobReading,
    JobTable,
    JobTarget,
    Poll,
    asked_for,
    methods,
    named,
)
from midspan_instrumentation.providers._fields import field
from midspan_instrumentation.providers._gemini_interactions import NAME


def _asked_operation(operation: object = None, **_rest: object) -> JobReading | None:
    return asked_for(field(operation, "name"), kind_of(operation))


def _cancelled(kind: str) -> Any:
    """Cancelling returns nothing, and takes its time."""

    def read_call(*, name: object = None, **_rest: object) -> JobReading | None:
        return JobReading(name, "CANCELLING", stage="cancelling", kind=kind) if isinstance(name, str) else None

    return read_call


_of = partial(methods, read=read, optional=True)
_OPERATIONS = JobTarget("google.genai.operations", "Operations.get", read, _asked_operation)
# As in a list: those that have ended may have been over with the call that made them.
_INTERACTIONS = tuple(
    JobTarget(
        "google.genai._gaos.google_genai",
        f"GeminiNextGenInteractions.{name}",
        read_interaction,
        named("id"),
        LISTED,
        optional=True,
    )
    for name in ("get", "cancel")
)


def _operation(client: Any, job_id: str) -> Any:
    types = importlib.import_module("google.genai.types")
    return client.operations.get(types.GenerateVideosOperation(name=job_id))


TABLE = JobTable(
    provider=NAME,
    states=STATES,
    read=read,
    targets=(
        *_of(
            "google.genai.batches",
            "Batches",
            read_call=named("name", "batch"),
            made="create create_embeddings",
            asked="get",
            listed="_list",
        ),
        *_of("google.genai.batches", "Batches", read_call=_cancelled("batch"), asked="cancel"),
        *_of(
            "google.genai.tunings",
            "Tunings",
            read_call=named("name", "fine_tuning"),
            made="tune",
            asked="get",
            listed="_list",
        ),
        *_of("google.genai.tunings", "Tunings", read_call=_cancelled("fine_tuning"), asked="cancel"),
        *_of("google.genai.files", "Files", read_call=named("name"), made="upload", asked="get", listed="_list"),
        *_of("google.genai.models", "Models", made="generate_videos"),
        *_of(
            "google.genai.file_search_stores",
            "FileSearchStores",
            made="upload_to_file_search_store import_file",
        ),
        _OPERATIONS,
        _OPERATIONS.as_async(),
        *_INTERACTIONS,
        *(each.as_async() for each in _INTERACTIONS),
    ),
    polls=(
        Poll(
            "batch",
            "batches/|projects/.*/batchPredictionJobs/",
            (lambda client, job_id: client.batches.get(name=job_id),),
        ),
        Poll(
            "fine_tuning",
            "tunedModels/|projects/.*/tuningJobs/",
            (lambda client, job_id: client.tunings.get(name=job_id),),
        ),
        Poll("file_transfer", "files/", (lambda client, job_id: client.files.get(name=job_id),)),
        Poll("video", ".*/operations/", (_operation,)),
        Poll("interaction", "v1_", (lambda client, job_id: client.interactions.get(job_id),), "llm_request"),
    ),
    client="google.genai:Client",
    keeps_client=False,
)
