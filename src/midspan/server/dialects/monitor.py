"""Seed S3's monitor: sessions under `/api/monitoring`, and their changes over the WebSocket `/ws/monitoring`."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute

from midspan.core.operation import Operation, Stage, Status
from midspan.core.registry import Registry
from midspan.core.vocabulary import Row, failure, percent, processing_session, stage_label, task_of
from midspan.server.answers import json_response
from midspan.server.dialects.monitor_socket import MonitorSocket
from midspan.server.dialects.view import ACTIVE, ENDED, View, route
from midspan.server.hub import Hub
from midspan.server.problem import Problem

DEFAULT_RECENT, MAX_RECENT = 50, 500


def session(operation: Operation) -> Row:
    """Seed S3-36 and what a page needs besides; `progress` is from 0 to 1, `progress_percent` to 100 (ruling C1)."""
    return {
        **processing_session(operation),
        **_standing(operation),
        "end_time": operation.ended_at,
        "processing_time": round(operation.elapsed_seconds, 3),
        "final_result": operation.result,
    }


def session_event(operation: Operation) -> Row:
    """How a session stands now, as seed S3-37's event."""
    stage = operation.stage or str(Stage.INITIALIZING)
    return {
        "session_id": operation.operation_id,
        "task": task_of(operation),
        "stage": stage,
        "timestamp": operation.updated_at,
        "message": operation.message or stage_label(stage),
        "progress": operation.progress or 0.0,
        "metadata": operation.metadata or {},
        "error": failure(operation),
        **_standing(operation),
    }


def _standing(operation: Operation) -> Row:
    """`success` is null for a session that runs; `indeterminate` says that the progress is not known."""
    return {
        "progress_percent": percent(operation),
        "indeterminate": operation.progress is None,
        "status": str(operation.status),
        "success": operation.status is Status.COMPLETED if operation.is_terminal else None,
    }


def statistics(operations: list[Operation]) -> Row:
    """Seed S3-17: counts, rate and times of the sessions that are kept; null where there is nothing to tell."""
    counts = Counter(operation.status for operation in operations)
    times = sorted(operation.elapsed_seconds for operation in operations if operation.is_terminal)
    failed = counts[Status.FAILED] + counts[Status.LOST]
    judged = counts[Status.COMPLETED] + failed
    return {
        "total_sessions": len(operations),
        "active_sessions": counts[Status.PENDING] + counts[Status.RUNNING],
        "completed_sessions": counts[Status.COMPLETED],
        "failed_sessions": failed,
        "cancelled_sessions": counts[Status.CANCELLED],
        "success_rate": counts[Status.COMPLETED] / judged if judged else None,
        "average_processing_time": sum(times) / len(times) if times else None,
        "max_processing_time": times[-1] if times else None,
        "total_tokens": sum(_output_tokens(operation) for operation in operations),
    }


def _output_tokens(operation: Operation) -> int:
    return (operation.tokens and operation.tokens.output) or 0


def snapshot_frame(operations: list[Operation]) -> Row:
    """The first frame of a WebSocket: the sessions that run."""
    return {"type": "snapshot", "sessions": [session(operation) for operation in operations]}


def update_frame(operations: list[Operation]) -> Row:
    """What has changed since the frame before, several sessions in one (seed S3-46)."""
    return {"type": "update", "events": [session_event(operation) for operation in operations]}


def monitor_routes(registry: Registry, hub: Hub) -> list[BaseRoute]:
    """The routes of seed S3."""
    view = View(registry, "session")
    monitor = Monitor(view)
    return [
        route("/api/monitoring/statistics", monitor.statistics),
        route("/api/monitoring/sessions/active", monitor.active),
        route("/api/monitoring/sessions/recent", monitor.recent),
        route("/api/monitoring/sessions/{id}", monitor.one),
        WebSocketRoute("/ws/monitoring", MonitorSocket(view, hub, snapshot_frame, update_frame).serve),
    ]


class Monitor:
    """The endpoints; no coroutines, so that many sessions do not stop the event loop."""

    def __init__(self, view: View) -> None:
        self.view = view

    def statistics(self, request: Request) -> Response:
        """`GET /api/monitoring/statistics`."""
        return json_response(statistics(list(self.view.all(request))))

    def active(self, request: Request) -> Response:
        """`GET /api/monitoring/sessions/active`: newest first."""
        return json_response([session(operation) for operation in self.view.all(request, ACTIVE)])

    def recent(self, request: Request) -> Response:
        """`GET /api/monitoring/sessions/recent?limit=50`: ended ones, newest first."""
        return json_response(
            [session(operation) for operation in islice(self.view.all(request, ENDED), _limit(request))]
        )

    def one(self, request: Request) -> Response:
        """`GET /api/monitoring/sessions/{id}`."""
        return json_response(session(self.view.one(request)))


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_RECENT))
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 1 <= value <= MAX_RECENT:
        raise Problem(422, "bad-parameter", f"limit {text!r} is not a number from 1 to {MAX_RECENT}")
    return value
