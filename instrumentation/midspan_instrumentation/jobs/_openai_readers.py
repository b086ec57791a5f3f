"""Reading OpenAI's objects that stand for jobs; services that speak its protocol leave out what they do not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from midspan_instrumentation.jobs._stainless import answer_in
from midspan_instrumentation.jobs._table import CREATED, ErrorInfo, JobReading, Status, asked_for, unix
from midspan_instrumentation.provider import replace
from midspan_instrumentation.providers._fields import field, items, text, whole

if TYPE_CHECKING:
    from openai.types import Batch, Upload, Video
    from openai.types.fine_tuning import FineTuningJob
    from openai.types.responses import Response
    from openai.types.vector_stores import VectorStoreFileBatch


_WAITING = "validating validating_files queued pending pausing paused resuming"
_WORKING = "running in_progress finalizing cancelling"
STATES = {
    **dict.fromkeys(f"{_WAITING} {_WORKING}".split(), Status.RUNNING),
    "succeeded": Status.COMPLETED,
    "completed": Status.COMPLETED,
    "incomplete": Status.COMPLETED,  # a response that has reached its token limit
    "failed": Status.FAILED,
    "expired": Status.FAILED,
    "cancelled": Status.CANCELLED,
}


def read_batch(batch: Batch) -> Iterator[JobReading]:
    """Its requests are counted, but for the time of validation."""
    counts = field(batch, "request_counts")
    endings = (unix(field(batch, f"{state}_at")) for state in ("completed", "failed", "expired", "cancelled"))
    errors = items(field(field(batch, "errors"), "data"))
    total = whole(field(counts, "total"))
    yield JobReading(
        id=batch.id,
        state=text(batch.status),
        model=text(field(batch, "model")),
        succeeded=whole(field(counts, "completed")) if total else None,
        failed=whole(field(counts, "failed")) if total else None,
        total=total or None,
        unit="request",
        created_at=unix(batch.created_at),
        ended_at=next((at for at in endings if at is not None), None),
        error=read_error(errors[0]) if errors else None,
        usage=_read_usage(field(batch, "usage")),
    )


def read_fine_tuning(job: FineTuningJob) -> Iterator[JobReading]:
    """Its steps are told by its events; it says when it expects to finish."""
    yield JobReading(
        id=job.id,
        state=text(job.status),
        kind="fine_tuning",
        model=text(job.model),
        created_at=unix(job.created_at),
        ended_at=unix(field(job, "finished_at")),
        finish_at=unix(field(job, "estimated_finish")),
        error=read_error(field(job, "error")),
    )


def read_file_batch(batch: VectorStoreFileBatch) -> Iterator[JobReading]:
    """The files of a vector store."""
    counts = field(batch, "file_counts")
    yield JobReading(
        id=batch.id,
        state=text(batch.status),
        name="file_batch",
        succeeded=whole(field(counts, "completed")),
        failed=whole(field(counts, "failed")),
        cancelled=whole(field(counts, "cancelled")),
        total=whole(field(counts, "total")) or None,
        unit="file",
        created_at=unix(batch.created_at),
    )


def read_upload(upload: Upload) -> Iterator[JobReading]:
    """What of it is there, only the calls know that send its parts."""
    size = whole(upload.bytes)
    yield JobReading(
        id=upload.id,
        state=text(upload.status),
        kind="file_transfer",
        name="upload",
        total=size or None,
        completed=size if upload.status == "completed" else None,
        unit="byte",
        created_at=unix(upload.created_at),
    )


def read_added(upload_id: object, *_args: object, data: object = None, **_kwargs: object) -> JobReading | None:
    """`uploads.parts.create`: a part of an upload has been sent."""
    given = items(data)  # a file by its name and content, or the content alone
    content = given[1] if len(given) > 1 else data
    size = len(content) if isinstance(content, (bytes, bytearray)) else None
    asked = asked_for(upload_id, "file_transfer", "upload")
    return None if asked is None else replace(asked, added=size)


def read_video(video: Video) -> Iterator[JobReading]:
    """It tells its percentage."""
    percentage = field(video, "progress")
    yield JobReading(
        id=video.id,
        state=text(video.status),
        kind="video",
        model=text(field(video, "model")),
        progress=percentage / 100 if isinstance(percentage, (int, float)) else None,
        created_at=unix(video.created_at),
        ended_at=unix(field(video, "completed_at")),
        error=read_error(field(video, "error")),
    )


def read_background(response: Response) -> Iterator[JobReading]:
    """A response that is made in the background; others are over with their call."""
    if field(response, "background") is True:
        yield read_response(response)


def read_response(response: Response) -> JobReading:
    """A response that is known to be made in the background."""
    return replace(
        WORKING,
        id=response.id,
        state=text(response.status),
        model=text(field(response, "model")),
        created_at=unix(response.created_at),
        ended_at=unix(field(response, "completed_at")),
        error=read_error(field(response, "error")),
        usage=_read_usage(field(response, "usage")),
    )


WORKING = JobReading(id="", state="in_progress", kind="llm_request", name="chat")
"""A response that is being made."""


def read_streamed(*asked: object, response_id: object = None, **more: object) -> tuple[str, int] | None:
    """`responses.retrieve`: which response it streams, and after which event."""
    named, after = text(asked[0] if asked else response_id), whole(more.get("starting_after"))
    if named is None or more.get("stream") is not True:
        return None
    return named, -1 if after is None else after


_NO_FIELDS: Mapping[str, Any] = {}


def read_event(event: object) -> tuple[Any, object | None]:
    """The number of an event of a response's stream, of which the first has 0; and the response, where it carries that.

    It runs for every event.
    """
    fields = getattr(event, "__dict__", _NO_FIELDS)
    return fields.get("sequence_number"), fields.get("response")


def is_begun(
    _responses: object, *_: object, background: object = None, stream: object = None, **_more: object
) -> str | None:
    """`responses.create`: is it a response in the background, with its stream."""
    return CREATED if background is True and stream is True else None


def _read_usage(usage: object) -> tuple[int | None, ...] | None:
    """Input, output, reasoning and cached tokens; an SDK older than the field keeps it as the mapping that it was."""
    if usage is None:
        return None
    reasoning = whole(field(field(usage, "output_tokens_details"), "reasoning_tokens"))
    cached = whole(field(field(usage, "input_tokens_details"), "cached_tokens"))
    return whole(field(usage, "input_tokens")), whole(field(usage, "output_tokens")), reasoning, cached


def read_error(error: object) -> ErrorInfo | None:
    """Why a job has failed: its code, and its message."""
    code = text(field(error, "code"))
    return None if error is None or code is None else ErrorInfo(type=code, message=text(field(error, "message")))


READERS: dict[object, Callable[[Any], Iterable[JobReading]]] = {
    "batch": read_batch,
    "fine_tuning.job": read_fine_tuning,
    "vector_store.files_batch": read_file_batch,
    "vector_store.file_batch": read_file_batch,
    "upload": read_upload,
    "video": read_video,
    "response": read_background,
}
"""By the object's own tag."""


def read_page(page: Any) -> Iterator[JobReading]:
    """A page of jobs, or of a fine-tuning's events, newest first: its address names that one."""
    entries = items(field(page, "data"))
    for entry in entries:
        reader = READERS.get(field(entry, "object"))
        if reader is not None:
            yield from reader(entry)
    metrics = (field(entry, "data") for entry in entries if field(entry, "type") == "metrics")
    parts = str(field(field(page, "_options"), "url")).split("/")
    newest = next(metrics, None)
    if newest is not None and len(parts) > 1 and parts[-1] == "events":
        yield _read_metrics(parts[-2], newest)


def _read_metrics(job_id: str, metrics: object) -> JobReading:
    return JobReading(job_id, step=whole(field(metrics, "step")), total_steps=whole(field(metrics, "total_steps")))


def read(result: object) -> Iterable[JobReading]:
    """Any object of the API that stands for a job, a page of such, or a raw response with one."""
    answer = answer_in(result)
    if field(answer, "object") == "list":
        return read_page(answer)
    reader = READERS.get(field(answer, "object"))
    return () if reader is None else reader(answer)
