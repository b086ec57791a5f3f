"""What the foreign vocabularies say of an operation: pure functions for `compat` (Python) and the dialects (HTTP).

They know no unknown progress where a seed declares a number: it is 0 there, and never `None`.
"""

from __future__ import annotations

from typing import Any

from midspan.core.operation import Event, Operation, Stage, Status
from midspan.core.wire import rfc3339

Row = dict[str, Any]


def percent(operation: Operation) -> float:
    """Progress from 0 to 100 with one decimal, and 0 where it is unknown."""
    return operation.percent_complete or 0.0


def stage_or_status(operation: Operation) -> str:
    """The stage of a running operation, `processing` where it has none; `queued` before; its status afterwards."""
    if operation.status is Status.PENDING:
        return "queued"
    if operation.status is Status.RUNNING:
        return operation.stage or "processing"
    return str(operation.status)


def error_text(operation: Operation) -> str:
    """Why an operation has not completed, in words; never empty."""
    if operation.status is Status.CANCELLED:
        return str(operation.status)
    error = operation.error
    if error is not None:
        return error.message or error.type
    return operation.status_reason or str(operation.status)


def stage_label(stage: str) -> str:
    """`streaming_response` as `Streaming Response` (seed S3-09)."""
    return stage.replace("_", " ").title()


def enhanced_progress(operation: Operation) -> Row:
    """Seed S2-10: the stage, a whole number of percent, the message, and when."""
    return {
        "type": "enhanced_progress",
        "stage": stage_or_status(operation),
        "progress": round(percent(operation)),
        "message": operation.message or "",
        "timestamp": rfc3339(operation.updated_at),
    }


def processing_session(operation: Operation) -> Row:
    """Seed S3-36: the fields of its `ProcessingSession`. Tokens are counted in `metadata`; their text is not kept."""
    metadata = operation.metadata or {}
    return {
        "session_id": operation.operation_id,
        "start_time": operation.started_at or operation.created_at,
        "current_stage": operation.stage or str(Stage.INITIALIZING),
        "progress": operation.progress or 0.0,
        "content_preview": operation.content_preview or "",
        "task": task_of(operation),
        "model": operation.model or "",
        "processor_type": str(metadata.get("processor_type") or operation.provider or operation.operation_type),
        "events": [processing_event(operation, event) for event in operation.history],
        "streaming_tokens": [],
        "metadata": {**metadata, **_performance(operation)},
        "error": failure(operation),
    }


def task_of(operation: Operation) -> str:
    """What a session is for: what it was begun with, or its name."""
    return str((operation.metadata or {}).get("task") or operation.name)


def processing_event(operation: Operation, event: Event) -> Row:
    """Seed S3-37: the fields of its `ProcessingEvent`."""
    stage = event.stage or str(Stage.INITIALIZING)
    return {
        "session_id": operation.operation_id,
        "stage": stage,
        "timestamp": event.at,
        "message": event.message or stage_label(stage),
        "progress": event.progress or 0.0,
        "metadata": event.data or {},
        "error": failure(operation) if event.type == "end" else None,
    }


def failure(operation: Operation) -> str | None:
    """Why an ended operation has not completed; None for one that has, or that runs."""
    return error_text(operation) if operation.is_terminal and operation.status is not Status.COMPLETED else None


def _performance(operation: Operation) -> Row:
    """Seed S3-22: what is known of tokens and times; durations in seconds."""
    tokens = operation.tokens
    known = {
        "processing_time": round(operation.elapsed_seconds, 3),
        "time_to_first_chunk": operation.time_to_first_chunk,
        "tokens_per_second": operation.tokens_per_second,
        "input_tokens": tokens and tokens.input,
        "token_count": tokens and tokens.output,
    }
    return {name: value for name, value in known.items() if value is not None}
