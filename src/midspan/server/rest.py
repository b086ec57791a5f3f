"""The resource API under `/v1`: operations, what is below them, their results, and their statistics."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from midspan.core.operation import Status
from midspan.server import export, ingest
from midspan.server.answers import Row, json_response, operation_response, retry_after
from midspan.server.auth import access_of
from midspan.server.events import events_after
from midspan.server.hub import Hub
from midspan.server.paging import page
from midspan.server.parameters import MAX_WAIT_SECONDS
from midspan.server.problem import Problem
from midspan.server.query import Listing, duration, one_of, selection, whole
from midspan.server.statistics import summary
from midspan.server.tree import tree
from midspan.server.visible import asked_operation, limited_sight, visible
from midspan.server.waiting import changed_operation
from midspan.tracking.tracker import ProgressRegistry


class Rest:
    """The endpoints that read, over one registry."""

    def __init__(self, registry: ProgressRegistry, hub: Hub, row: Row) -> None:
        self.registry = registry
        self.hub = hub
        self.row = row

    def listing(self, request: Request) -> Response:
        """`GET /v1/operations`: a page of snapshots, newest first."""
        asked = Listing.of(request.query_params)
        rows, cursor = page(visible(self.registry, request, asked.wanted, asked.after), asked.limit)
        body = {"operations": [self.row(each) for each in rows], "next_cursor": cursor}
        return json_response(body, _next_link(request, cursor))

    async def one(self, request: Request) -> Response:
        """`GET /v1/operations/{id}`: its snapshot, with `wait` after a change."""
        within = whole(request.query_params, "wait", 0, MAX_WAIT_SECONDS)
        after = whole(request.query_params, "after_seq")
        operation = asked_operation(self.registry, request)
        if within and request.method == "GET":
            operation = await changed_operation(self.registry, self.hub, request, after, within)
        return operation_response(request, operation, row=self.row)

    async def events(self, request: Request) -> Response:
        """`GET /v1/operations/{id}/events`: its history."""
        after = whole(request.query_params, "after")
        operation = asked_operation(self.registry, request)
        return json_response(events_after(operation, after), retry_after(operation))

    async def result(self, request: Request) -> Response:
        """`GET /v1/operations/{id}/result`: what it has come to, as bare JSON."""
        operation = asked_operation(self.registry, request)
        if not operation.is_terminal:
            return json_response(self.row(operation), retry_after(operation), 202)
        if operation.status is not Status.COMPLETED:
            raise ingest.ended(operation.operation_id, operation.status, operation.error)
        if operation.result is None:
            raise Problem(404, "result-not-kept", f"operation {operation.operation_id!r} has left no result")
        return json_response(operation.result)

    def tree(self, request: Request) -> Response:
        """`GET /v1/tree/{id}`: an operation with everything below it."""
        root = asked_operation(self.registry, request)
        return json_response(tree(self.registry, root, access_of(request.scope).may_see, self.row))

    def statistics(self, request: Request) -> Response:
        """`GET /v1/statistics`."""
        window = duration(request.query_params, "window")
        return json_response(summary(self.registry, window, limited_sight(request)))

    def export(self, request: Request) -> Response:
        """`GET /v1/export`: operations as a file, newest first."""
        name = one_of(request.query_params, "format", tuple(export.FORMATS), "csv")
        content_type, write = export.FORMATS[name]
        wanted = selection(request.query_params)
        headers = {
            "content-type": content_type,
            "content-disposition": f'attachment; filename="midspan-operations.{name}"',
        }
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(write(map(self.row, visible(self.registry, request, wanted))), headers=headers)


def _next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Relative to the request's own address, so that it holds under every prefix and behind every proxy."""
    if cursor is None:
        return {}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"link": f'<?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'}
