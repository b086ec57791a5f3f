"""Google's jobs: batches, tunings, files that are being processed, and long-running operations such as videos."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from midspan_instrumentation.jobs._google_readers import STATES, kind_of, read
from midspan_instrumentation.jobs._table import (
    JobReading,
    JobTable,
    JobTarget,
    Poll,
    asked_for,
    methods,
    named,
)
from midspan_instrumentation.providers._fields import field


def _asked_operation(operation: object = None, **_rest: object) -> JobReading | None:
    return asked_for(field(operation, "name"), kind_of(operation))


def _cancelled(kind: str) -> Any:
    """Cancelling returns nothing, and takes its time."""

    def read_call(*, name: object = None, **_rest: object) -> JobReading | None:
        return JobReading(name, "CANCELLING", stage="cancelling", kind=kind) if isinstance(name, str) else None

    return read_call


_of = partial(methods, read=read, optional=True)
_OPERATIONS = JobTarget("google.genai.operations", "Operations.get", read, _asked_operation)


def _operation(client: Any, job_id: str) -> Any:
    types = importlib.import_module("google.genai.types")
    return client.operations.get(types.GenerateVideosOperation(name=job_id))


TABLE = JobTable(
    provider="gcp.gemini",
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
    ),
    client="google.genai:Client",
    keeps_client=False,
)
