"""Starting registered functions over HTTP: `GET /v1/tasks` and `POST /v1/tasks/{name}`."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from midspan.core.operation import Operation
from midspan.server.answers import Row, json_response, operation_response
from midspan.server.auth import access_of
from midspan.server.body import read_body
from midspan.server.endpoint import Answer, Endpoint
from midspan.server.parameters import Parameter
from midspan.server.problem import Problem
from midspan.server.trace_context import within_trace
from midspan.tracking.idempotency import IdempotencyError
from midspan.tracking.parameters import ArgumentError
from midspan.tracking.runner import TasksFullError
from midspan.tracking.tasks import Tasks, UnknownTaskError

RETRY_SECONDS = 5
MAX_KEY = 255
KEY_HEADER = "idempotency-key"


class TaskRow(msgspec.Struct, kw_only=True):
    """A function that may be started: what it takes (a JSON schema), and whether cancelling it is native."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    cancel: str


class TaskList(msgspec.Struct, kw_only=True):
    """The functions that may be started, and how busy those are that run them."""

    tasks: list[TaskRow]
    running: int
    queued: int
    max_running: int
    max_queued: int
    results_dropped: int


class TaskEndpoints:
    """The endpoints over the tasks of one registry."""

    def __init__(self, tasks: Tasks, row: Row) -> None:
        self.tasks = tasks
        self.row = row

    async def listing(self, request: Request) -> Response:
        """`GET /v1/tasks`."""
        runner = self.tasks.runner
        return json_response(
            TaskList(
                tasks=[TaskRow(**task.describe()) for task in self.tasks.all()],
                running=runner.running,
                queued=runner.queued,
                max_running=runner.max_running,
                max_queued=runner.max_queued,
                results_dropped=runner.results_dropped,
            )
        )

    async def start(self, request: Request) -> Response:
        """`POST /v1/tasks/{name}`: 202 with the operation, and where to ask for it."""
        name: str = request.path_params["name"]
        key = _key(request)
        arguments = await read_body(request, dict[str, Any], optional=True)
        with within_trace(request.headers):
            operation_id = start_task(self.tasks, name, arguments, key, access_of(request.scope).principal)
        operation = self.tasks.registry.get(operation_id)
        if operation is None:  # of the key's first call, and forgotten since
            detail = f"idempotency key {key!r} stands for operation {operation_id!r}, which is kept no longer"
            raise Problem(409, "operation-forgotten", detail, operation_id=operation_id)
        response = operation_response(request, operation, 202, row=self.row)
        response.headers["location"] = f"{request.scope.get('root_path', '')}/v1/operations/{operation_id}"
        return response


TASKS = (
    Endpoint(
        method="GET",
        path="/v1/tasks",
        summary="The functions that may be started by name",
        call=TaskEndpoints.listing,
        answers={200: Answer("all of them, by name", TaskList)},
    ),
    Endpoint(
        method="POST",
        path="/v1/tasks/{name}",
        summary="Start a function; the body has its arguments by parameter name",
        call=TaskEndpoints.start,
        parameters=(
            Parameter("name", "name of the task", place="path"),
            Parameter("Idempotency-Key", "the same key and body again give the same operation", place="header"),
        ),
        body=dict[str, Any],
        optional_body=True,
        answers={202: Answer("it was started", Operation, headers=("location", "etag", "retry-after"))},
        problems=(400, 404, 409, 415, 422, 503),
    ),
)
"""The rows of the API that start tasks."""


def start_task(
    tasks: Tasks,
    name: str,
    arguments: dict[str, Any],
    key: str | None = None,
    principal: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> str:
    """As `Tasks.start`; what it refuses is a Problem: 404, 422 naming the parameter, 503 when full."""
    try:
        return tasks.start(name, arguments, idempotency_key=key, principal=principal, metadata=metadata)
    except UnknownTaskError as error:
        known = [task.name for task in tasks.all()]
        raise Problem(404, "task-not-found", str(error), tasks=known) from None
    except ArgumentError as error:
        errors = [{"field": error.parameter or "", "detail": str(error)}]
        raise Problem(422, "invalid-body", str(error), errors=errors) from None
    except IdempotencyError as error:
        raise Problem(422, "idempotency-key-reused", str(error)) from None
    except TasksFullError as error:
        headers = {"retry-after": str(RETRY_SECONDS)}
        raise Problem(503, "tasks-full", str(error), headers=headers) from None


def _key(request: Request) -> str | None:
    """The key of the request; the draft writes it as a quoted string, most clients do not."""
    given = request.headers.get(KEY_HEADER)
    if given is None:
        return None
    key = given.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        detail = f"the header Idempotency-Key must have 1 to {MAX_KEY} printable characters"
        raise Problem(400, "bad-header", detail, header="Idempotency-Key")
    return key
