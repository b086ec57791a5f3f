"""Seed S1's progress: the SSE stream `/progress/{id}/stream`, and the data that its tools are answered with."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.vocabulary import Row, error_text, percent
from midspan.core.wire import encode, rfc3339
from midspan.server.dialects.view import News, View, route
from midspan.server.hub import Hub
from midspan.server.sse import EventStream, frame

FAILED = (Status.FAILED, Status.LOST)


def progress_data(operation: Operation) -> Row:
    """Seed S1-12: progress from 0 to 100, times RFC 3339, durations in seconds; `error` only where it has failed."""
    row: Row = {
        "operation_id": operation.operation_id,
        "status": task_status(operation),
        "progress": percent(operation),
        "message": operation.message or operation.stage or "",
        "started_at": rfc3339(operation.started_at or operation.created_at),
        "updated_at": rfc3339(operation.updated_at),
        "elapsed_seconds": round(operation.elapsed_seconds, 3),
        "estimated_remaining": operation.estimated_remaining_seconds,
        "output": operation.result,
    }
    if operation.status in FAILED:
        row["error"] = error_text(operation)
    return row


def task_status(operation: Operation) -> str:
    """`running`, `completed`, `failed`, or `cancelled`, which seed S1's clients do not mind (ruling C6)."""
    if not operation.is_terminal:
        return str(Status.RUNNING)
    return str(Status.FAILED if operation.status in FAILED else operation.status)


def success(data: object) -> Row:
    """The envelope of a call that went well: of its own, whatever became of the operation (ruling C2)."""
    return {"status": "success", "data": data}


def failure(error: str) -> Row:
    """The envelope of a call that did not."""
    return {"status": "error", "error": error}


def frames(operation: Operation) -> list[bytes]:
    """The SSE frames of one change: `progress`, and `done` or `error` at the end (rulings C7, C8)."""
    if operation.status in FAILED:
        return [frame(encode({"error": error_text(operation)}), event="error")]
    shown = [frame(encode(progress_data(operation)), event="progress")]
    if operation.is_terminal:
        shown.append(frame(encode({"status": task_status(operation)}), event="done"))
    return shown


def long_task_routes(registry: Registry, hub: Hub) -> list[Route]:
    """The route of seed S1; its tools are those of `/mcp`."""

    view = View(registry)

    async def stream(request: Request) -> Response:
        reader, now = view.open(hub, request)
        news = News()

        def render(operation: Operation) -> list[bytes]:
            return frames(operation) if news.is_new(operation) else []

        return EventStream(reader, render, first=render(now), is_over=now.is_terminal)

    return [route("/progress/{id}/stream", stream)]
