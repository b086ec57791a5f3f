"""The resource API under `/v1`: operations, and their statistics."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.core.wire import encode, to_dict
from midspan.server.paging import page
from midspan.server.problem import Problem
from midspan.server.query import Listing, allow_only
from midspan.server.statistics import summary


def json_response(value: object, headers: dict[str, str] | None = None) -> Response:
    """200 with `value` (plain values, or an Operation) as JSON."""
    return Response(encode(value), headers={"content-type": "application/json", **(headers or {})})


def rest_routes(registry: Registry) -> list[Route]:
    """The routes that read operations, and forget ended ones."""
    rest = Rest(registry)
    return [
        Route("/v1/operations", rest.listing),
        Route("/v1/operations/{id}", rest.one, methods=["GET", "DELETE"]),
        Route("/v1/statistics", rest.statistics),
    ]


class Rest:
    """The endpoints over one registry.

    Those that read many operations are no coroutines, so that they run in a thread and never stop the event loop of
    an application that this is mounted in.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def listing(self, request: Request) -> Response:
        """`GET /v1/operations`: a page of snapshots, newest first."""
        asked = Listing.of(request.query_params)
        found = self.registry.operations(statuses=asked.statuses, operation_types=asked.types, parent_id=asked.parent)
        rows, cursor = page(found, asked.limit, asked.after)
        body = {"operations": [to_dict(row) for row in rows], "next_cursor": cursor}
        return json_response(body, _next_link(request, cursor))

    async def one(self, request: Request) -> Response:
        """`GET` and `DELETE /v1/operations/{id}`."""
        allow_only(request.query_params)
        operation = self._find(request.path_params["id"])
        if request.method == "DELETE":
            return self._forget(operation)
        tag = etag(operation)
        if _matches(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers={"etag": tag})
        return json_response(operation, {"etag": tag})

    def _find(self, operation_id: str) -> Operation:
        operation = self.registry.get(operation_id)
        if operation is None:
            raise _unknown(operation_id)
        return operation

    def _forget(self, operation: Operation) -> Response:
        if not operation.is_terminal:
            detail = f"operation {operation.operation_id!r} has not ended; only an ended one is forgotten"
            raise Problem(409, "operation-running", detail)
        if not self.registry.remove(operation.operation_id):
            raise _unknown(operation.operation_id)
        return Response(status_code=204)

    def statistics(self, request: Request) -> Response:
        """`GET /v1/statistics`."""
        allow_only(request.query_params)
        return json_response(summary(self.registry))


def _unknown(operation_id: str) -> Problem:
    return Problem(404, "operation-not-found", f"no operation {operation_id!r} is running or kept")


def etag(operation: Operation) -> str:
    """Weak: what follows from the time alone (elapsed, remaining) does not change it."""
    return f'W/"{operation.epoch}-{operation.sequence}"'


def _matches(header: str, tag: str) -> bool:
    """If-None-Match as RFC 9110 compares it: weakly, against any of a list, or `*`."""
    wanted = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag.removeprefix("W/") in wanted or "*" in wanted


def _next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Relative to the request's own address, so that it holds under every prefix and behind every proxy."""
    if cursor is None:
        return {}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"link": f'<?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'}
