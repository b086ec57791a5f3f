"""Seed S2's words: an operation as `enhanced_*` events and as the legacy ones, and as the answer to a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from midspan.core.operation import Operation, Status
from midspan.core.vocabulary import Row, enhanced_progress, error_text, percent, stage_or_status


def enhanced_status(operation: Operation) -> Row:
    """Seed S2-09: what a reader is told first."""
    return {
        "type": "enhanced_status",
        "status": stage_or_status(operation),
        "progress": round(percent(operation)),
        "task_info": operation.metadata or {},
    }


def enhanced_events(operation: Operation) -> list[Row]:
    """The events of one change; a last `enhanced_progress` comes before `enhanced_complete` (seed S2-15)."""
    if not operation.is_terminal:
        return [enhanced_progress(operation)]
    if operation.status is not Status.COMPLETED:
        return [{"type": "enhanced_error", "error": error_text(operation)}]
    complete = {"type": "enhanced_complete", "result": _result(operation), "summary": summary(operation)}
    return [enhanced_progress(operation), complete]


def summary(operation: Operation) -> Row:
    """Seed S2-17. `total_processing_time` is in milliseconds (ruling C10)."""
    stages = list(operation.stages_completed)
    if operation.status is Status.COMPLETED and "completed" not in stages:
        stages.append("completed")
    return {"total_processing_time": round(operation.elapsed_seconds * 1000), "stages_completed": stages}


def legacy_status(operation: Operation) -> Row:
    """Seed S2-06."""
    return {"type": "status", "status": stage_or_status(operation), "progress": round(percent(operation))}


def legacy_events(operation: Operation) -> list[Row]:
    """The older events of one change (seed S2-07, S2-08): less detail, the same task."""
    if not operation.is_terminal:
        return [{**legacy_status(operation), "type": "progress"}]
    if operation.status is not Status.COMPLETED:
        return [{"type": "error", "error": error_text(operation)}]
    return [{"type": "complete", "result": _result(operation)}]


def _result(operation: Operation) -> Any:
    """The application's own; what has none is empty, because the seed's page reads a member of it."""
    return {} if operation.result is None else operation.result


def progress_info(operation: Operation, subscribers: int) -> Row:
    """Seed S2-24."""
    return {
        "task_id": operation.operation_id,
        "current_status": stage_or_status(operation),
        "current_progress": round(percent(operation)),
        "status_message": operation.message or "",
        "tracker_active": not operation.is_terminal,
        "tracker_info": {
            "current_stage": operation.stage or stage_or_status(operation),
            "elapsed_time_seconds": round(operation.elapsed_seconds, 2),
            "subscribers_count": subscribers,
        },
    }


def task_info(body: Mapping[str, Any]) -> Row:
    """What is shown of a task's arguments: numbers, switches and `*_id`s, never text that somebody has written."""
    shown = {
        name: value
        for name, value in body.items()
        if isinstance(value, (int, float)) or (name.endswith("_id") and isinstance(value, str))
    }
    shown["streaming_enabled"] = bool(shown.pop("enable_streaming", True))
    return shown
