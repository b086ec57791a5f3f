"""The Tasks extension of MCP 2026-07-28 (`io.modelcontextprotocol/tasks`): an operation is a task.

For callers that declare it, `start_long_task` answers with a task's handle. Tasks carry no numbers, so the progress is
in `_meta` of each answer.
"""

from __future__ import annotations

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from pydantic import Field

from midspan.core.operation import Operation, Status
from midspan.core.wire import rfc3339
from midspan.server.answers import retry_after
from midspan.server.dialects.long_tasks import FAILED, failure, progress_data, success
from midspan.server.mcp.results import Context, access_of_call, called, found_or_error
from midspan.server.mcp.tools import JsonObject, Tools
from midspan.tracking.cancelling import request_cancel

IDENTIFIER = "io.modelcontextprotocol/tasks"
PROGRESS = "io.midspan/progress"
STATUSES = {
    Status.COMPLETED: "completed",
    Status.FAILED: "completed",
    Status.LOST: "completed",
    Status.CANCELLED: "cancelled",
}
"""`failed` would mean that the protocol has failed; an operation that has is a completed task with an error in it."""


class OneTask(types.RequestParams):
    """What the three methods are asked with."""

    task_id: str = Field(alias="taskId", max_length=128)


def is_declared(context: Context) -> bool:
    """Whether the caller takes tasks: each request says so."""
    capabilities = context.session.client_capabilities
    return bool(capabilities and capabilities.extensions and IDENTIFIER in capabilities.extensions)


class Extension:
    """The methods `tasks/get`, `tasks/update` and `tasks/cancel`."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    def join(self, server: Server) -> None:
        """Serve them there."""
        server.extensions[IDENTIFIER] = {}
        for method, handler in (("get", self._get), ("update", self._update), ("cancel", self._cancel)):
            server.add_request_handler(f"tasks/{method}", OneTask, handler)

    async def _get(self, context: Context, asked: OneTask) -> JsonObject:
        operation = self._asked(context, asked)
        task = task_of(operation, self.tools)
        if task["status"] == "completed":
            failed = operation.status in FAILED
            data = progress_data(operation)
            result = called(failure(data["error"]) | {"data": data} if failed else success(data), failed)
            task["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"resultType": "complete", **task}

    async def _update(self, context: Context, asked: OneTask) -> JsonObject:
        """No operation asks for input; what is given for none is ignored, as the extension says."""
        self._asked(context, asked)
        return {"resultType": "complete"}

    async def _cancel(self, context: Context, asked: OneTask) -> JsonObject:
        if not access_of_call(context).may("write"):
            raise MCPError(types.INVALID_REQUEST, "the token lacks the scope 'write'")
        request_cancel(self.tools.registry, self._asked(context, asked).operation_id)
        return {"resultType": "complete"}

    def _asked(self, context: Context, asked: OneTask) -> Operation:
        if not is_declared(context):
            needed: JsonObject = {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"{IDENTIFIER} was not declared", needed)
        return found_or_error(self.tools, asked.task_id, access_of_call(context))


def handle(operation: Operation, tools: Tools) -> JsonObject:
    """What a call is answered with that has become a task."""
    return {"resultType": "task", **task_of(operation, tools)}


def task_of(operation: Operation, tools: Tools) -> JsonObject:
    """An operation as a task, in plain values."""
    task: JsonObject = {
        "taskId": operation.operation_id,
        "status": STATUSES.get(operation.status, "working"),
        "createdAt": rfc3339(operation.created_at),
        "lastUpdatedAt": rfc3339(operation.updated_at),
        "ttlMs": _kept_for(operation, tools),
        "_meta": {PROGRESS: _numbers(operation)},
    }
    said = operation.status_reason or operation.message or operation.stage
    if said:
        task["statusMessage"] = said
    pause = retry_after(operation).get("retry-after")
    if pause is not None:
        task["pollIntervalMs"] = int(pause) * 1000
    return task


def _kept_for(operation: Operation, tools: Tools) -> int | None:
    """Milliseconds from its creation until it is forgotten; None while it runs, which has no limit."""
    if operation.ended_at is None:
        return None
    until = operation.ended_at + tools.registry.retention.limits.seconds
    return int((until - operation.created_at) * 1000)


def _numbers(operation: Operation) -> JsonObject:
    return {
        "progress": operation.progress,
        "estimated_remaining_seconds": operation.estimated_remaining_seconds,
        "sequence": operation.sequence,
    }
