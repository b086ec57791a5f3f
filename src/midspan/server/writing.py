"""What requests change: operations reported from outside, cancellation, forgetting."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from midspan.core.operation import Operation, Status
from midspan.core.selection import Selection
from midspan.core.statistics import ENDED
from midspan.server import ingest
from midspan.server.answers import Row, json_response, operation_response
from midspan.server.auth import access_of
from midspan.server.body import read_body
from midspan.server.cancelling import cancelled
from midspan.server.ingest import Amount, Creation, Message, Report
from midspan.server.problem import Problem
from midspan.server.query import one_of
from midspan.server.trace_context import within_trace
from midspan.server.visible import asked_operation, limited_sight, unknown, visible
from midspan.tracking.cancelling import request_cancel
from midspan.tracking.tracker import ProgressRegistry

DELETED = "deleted while it was running"


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an operation is to stop."""

    reason: Message | None = None


class Cleanup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which ended operations are forgotten: all that ended more than `older_than` seconds ago, with these statuses."""

    older_than: Amount = 0.0
    statuses: Annotated[list[Literal["completed", "failed", "cancelled", "lost"]], Meta(min_length=1)] | None = None


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """How many operations were forgotten."""

    removed: int


class Writing:
    """The endpoints that change something, over one registry."""

    def __init__(self, registry: ProgressRegistry, row: Row) -> None:
        self.registry = registry
        self.row = row

    async def create(self, request: Request) -> Response:
        """`POST /v1/operations`: an operation that is reported from outside."""
        asked = await read_body(request, Creation)
        with within_trace(request.headers):
            operation = ingest.create(self.registry, asked, access_of(request.scope).principal)
        answer = operation_response(request, operation, 201, row=self.row)
        prefix: str = request.scope.get("root_path", "")
        answer.headers["location"] = f"{prefix}/v1/operations/{operation.operation_id}"
        return answer

    async def report(self, request: Request) -> Response:
        """`PATCH /v1/operations/{id}`: what is new about it."""
        news = await read_body(request, Report)
        operation = asked_operation(self.registry, request)
        state = self.registry.state(operation.operation_id)
        if state is None:
            raise ingest.ended(operation.operation_id, operation.status)
        operation = ingest.report(self.registry, state, news, _expected(request))
        return operation_response(request, operation, row=self.row)

    async def cancel(self, request: Request) -> Response:
        """`POST /v1/operations/{id}/cancel`: asks it to stop; whether and when it does is seen in its status."""
        asked = await read_body(request, CancelRequest, optional=True)
        operation = asked_operation(self.registry, request)
        operation = cancelled(self.registry, operation.operation_id, asked.reason)
        return operation_response(request, operation, 200 if operation.is_terminal else 202, row=self.row)

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/operations/{id}`: forgets an ended one, with `force` also one that runs."""
        forced = one_of(request.query_params, "force", ("0", "1"), "0") == "1"
        operation = asked_operation(self.registry, request)
        if not operation.is_terminal:
            if not forced:
                detail = f"operation {operation.operation_id!r} has not ended; cancel it, or add force=1"
                raise Problem(409, "operation-running", detail)
            self._stop(operation)
        if not self.registry.remove(operation.operation_id):
            raise unknown(operation.operation_id)
        return Response(status_code=204)

    def _stop(self, operation: Operation) -> None:
        """Here it has ended now; where it runs, it is asked to stop, and whatever it still reports is dropped."""
        request_cancel(self.registry, operation.operation_id, DELETED)
        state = self.registry.state(operation.operation_id)
        if state is not None:
            self.registry.end(state, Status.CANCELLED, DELETED)

    async def cleanup(self, request: Request) -> Response:
        """`POST /v1/cleanup`: forgets ended operations."""
        asked = await read_body(request, Cleanup, optional=True)
        return json_response(Removed(removed=await run_in_threadpool(self._remove, request, asked)))

    def _remove(self, request: Request, asked: Cleanup) -> int:
        if limited_sight(request) is None:
            return self.registry.cleanup(asked.older_than, asked.statuses)
        wanted = Selection(statuses=frozenset(asked.statuses or ENDED))
        before = self.registry.clock() - asked.older_than
        own = [each for each in visible(self.registry, request, wanted) if (each.ended_at or before) <= before]
        return sum(self.registry.remove(each.operation_id) for each in own)


def _expected(request: Request) -> str | None:
    """`epoch-sequence` of the tag in If-Match; None: whatever it is."""
    tag = request.headers.get("if-match", "*").removeprefix("W/").strip('"')
    return None if tag == "*" else "-".join(tag.split("-")[:2])
