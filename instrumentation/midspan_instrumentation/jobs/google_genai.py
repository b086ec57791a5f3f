"""Google's jobs: batches, tunings, files that are being processed, and long-running operations such as videos."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from midspan_instrumentation.jobs._google_readers import STATES, read
from midspan_instrumentation.jobs._table import (
    ASKED,
    CREATED,
    LISTED,
    JobReading,
    JobTable,
    JobTarget,
    Poll,
    named,
)
from midspan_instrumentation.providers._fields import field, text


def _asked_operation(operation: object = None, **_rest: object) -> JobReading | None:
    job_id = text(field(operation, "name"))
    return None if job_id is None else JobReading(job_id)


def _cancelled(kind: str) -> Any:
    """Cancelling returns nothing, and takes its time."""

    def read_call(*, name: object = None, **_rest: object) -> JobReading | None:
        return JobReading(name, "CANCELLING", stage="cancelling", kind=kind) if isinstance(name, str) else None

    return read_call


def _methods(module: str, kind: str, made: str, asked: str, listed: str = "") -> Iterable[JobTarget]:
    for how, methods in ((CREATED, made), (ASKED, asked), (LISTED, listed)):
        for method in methods.split():
            call = named("name") if how == ASKED else _nothing
            target = JobTarget(f"google.genai.{module}", f"{kind}.{method}", read, call, how, optional=True)
            yield from (target, target.as_async())


def _nothing(*_args: object, **_kwargs: object) -> None:
    return None


def _cancels(module: str, kind: str, what: str) -> Iterable[JobTarget]:
    target = JobTarget(f"google.genai.{module}", f"{kind}.cancel", read, _cancelled(what), optional=True)
    return target, target.as_async()


_OPERATIONS = JobTarget("google.genai.operations", "Operations.get", read, _asked_operation)


def _operation(client: Any, job_id: str) -> Any:
    types = importlib.import_module("google.genai.types")
    return client.operations.get(types.GenerateVideosOperation(name=job_id))


TABLE = JobTable(
    provider="gcp.gemini",
    states=STATES,
    read=read,
    targets=(
        *_methods("batches", "Batches", "create create_embeddings", "get", "_list"),
        *_cancels("batches", "Batches", "batch"),
        *_methods("tunings", "Tunings", "tune", "get", "_list"),
        *_cancels("tunings", "Tunings", "fine_tuning"),
        *_methods("files", "Files", "upload", "get", "_list"),
        *_methods("models", "Models", "generate_videos", ""),
        *_methods("file_search_stores", "FileSearchStores", "upload_to_file_search_store import_file", ""),
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
