"""The operations that a request may see: what belongs to somebody else does not exist for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.requests import HTTPConnection, Request

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.core.selection import EVERYTHING, Position, Selection, newest
from midspan.server.auth import access_of
from midspan.server.problem import Problem
from midspan.server.tokens import Access


def asked_operation(registry: Registry, request: Request) -> Operation:
    """The operation with the id in the request's path. Raises Problem (404)."""
    return found(registry, request.path_params["id"], access_of(request.scope))


def found(registry: Registry, operation_id: str, access: Access) -> Operation:
    """The operation with this id. Raises Problem (404), for a stranger's one too."""
    operation = registry.get(operation_id)
    if operation is None or not access.may_see(operation):
        raise unknown(operation_id)
    return operation


def unknown(operation_id: str) -> Problem:
    """The problem (404) with an id that nobody has."""
    return Problem(404, "operation-not-found", f"no operation {operation_id!r} is running or kept")


def visible(
    registry: Registry, request: HTTPConnection, wanted: Selection = EVERYTHING, after: Position | None = None
) -> Iterator[Operation]:
    """As `newest`, for this request."""
    return filter(access_of(request.scope).may_see, newest(registry, wanted, after))


def limited_sight(request: Request) -> Callable[[Operation], bool] | None:
    """What says which operations the request may see; None: all of them."""
    access = access_of(request.scope)
    return None if access.sees_all else access.may_see
