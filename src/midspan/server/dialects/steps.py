"""Seed S0's REST: `/progress/operations`, `/progress/active`, `/progress/summary`, `/progress/cleanup`."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Event, Operation, Status
from midspan.core.registry import Registry
from midspan.core.vocabulary import Row, failure
from midspan.core.wire import rfc3339
from midspan.server.answers import json_response
from midspan.server.dialects.view import ACTIVE, ENDED, View, route
from midspan.server.problem import Problem


def details(operation: Operation) -> Row:
    """An operation in seed S0's words; `percent_complete` and `eta_seconds` are null where they are unknown."""
    return {
        "operation_id": operation.operation_id,
        "operation_type": operation.operation_type,
        "status": status(operation),
        "message": operation.message,
        "current_step": operation.step,
        "total_steps": operation.total_steps,
        "percent_complete": operation.percent_complete,
        "start_time": rfc3339(operation.started_at),
        "end_time": rfc3339(operation.ended_at),
        "elapsed_seconds": round(operation.elapsed_seconds, 3),
        "eta_seconds": operation.estimated_remaining_seconds,
        "steps": [_step(event) for event in operation.history],
        "metadata": operation.metadata or {},
        "result": operation.result,
        "error": failure(operation),
    }


def status(operation: Operation) -> str:
    """One of seed S0's five statuses: what is lost has failed (ruling C6)."""
    return str(Status.FAILED if operation.status is Status.LOST else operation.status)


def _step(event: Event) -> Row:
    percent = None if event.progress is None else round(event.progress * 100, 1)
    return {
        "step": event.step,
        "stage": event.stage,
        "message": event.message,
        "percent_complete": percent,
        "timestamp": rfc3339(event.at),
    }


def summary(operations: list[Operation]) -> Row:
    """How many there are, by status and by type."""
    statuses = Counter(status(operation) for operation in operations)
    counted = {str(each): statuses[str(each)] for each in Status if each is not Status.LOST}
    return {
        "total_operations": len(operations),
        "active_operations": statuses[Status.PENDING] + statuses[Status.RUNNING],
        "status_counts": counted,
        "type_counts": dict(Counter(operation.operation_type for operation in operations)),
    }


def steps_routes(registry: Registry) -> list[Route]:
    """The routes of seed S0."""
    steps = Steps(View(registry))
    return [
        route("/progress/operations", steps.all),
        route("/progress/operations/{id}", steps.one),
        route("/progress/operations/{id}", steps.delete, ["DELETE"]),
        route("/progress/active", steps.active),
        route("/progress/summary", steps.summary),
        route("/progress/cleanup", steps.cleanup, ["POST"]),
    ]


class Steps:
    """The endpoints; no coroutines, so that a long list does not stop the event loop."""

    def __init__(self, view: View) -> None:
        self.view = view

    def all(self, request: Request) -> Response:
        """`GET /progress/operations`: the ids, newest first; with `?details=true` the operations (ruling C16)."""
        operations = self.view.all(request)
        if request.query_params.get("details") == "true":
            return json_response([details(operation) for operation in operations])
        return json_response([operation.operation_id for operation in operations])

    def one(self, request: Request) -> Response:
        """`GET /progress/operations/{id}`."""
        return json_response(details(self.view.one(request)))

    def active(self, request: Request) -> Response:
        """`GET /progress/active`."""
        return json_response([details(operation) for operation in self.view.all(request, ACTIVE)])

    def summary(self, request: Request) -> Response:
        """`GET /progress/summary`."""
        return json_response(summary(list(self.view.all(request))))

    def delete(self, request: Request) -> Response:
        """`DELETE /progress/operations/{id}`: forget it. One that runs is given up, which does not stop its work."""
        operation_id = self.view.one(request).operation_id
        registry = self.view.registry
        state = registry.state(operation_id)
        if state is not None:
            registry.end(state, Status.CANCELLED, "deleted")
        registry.remove(operation_id)
        return json_response({"operation_id": operation_id, "deleted": True})

    def cleanup(self, request: Request) -> Response:
        """`POST /progress/cleanup?max_age_seconds=0`: forget operations that ended longer ago than that."""
        registry = self.view.registry
        before = registry.clock() - _max_age(request)
        old = [each.operation_id for each in self.view.all(request, ENDED) if (each.ended_at or 0.0) <= before]
        return json_response({"removed": sum(map(registry.remove, old))})


def _max_age(request: Request) -> float:
    text = request.query_params.get("max_age_seconds", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise Problem(422, "bad-parameter", f"max_age_seconds {text!r} is not a number of seconds of at least 0")
    return seconds
