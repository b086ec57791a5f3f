"""What the dialects have in common: errors as `{"detail": …}`, and what a request may see."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.selection import EVERYTHING, Selection
from midspan.server.answers import json_response
from midspan.server.auth import access_of
from midspan.server.hub import Hub
from midspan.server.problem import Problem
from midspan.server.reader import Reader
from midspan.server.resume import EventId
from midspan.server.visible import asked_operation, visible

Endpoint = Callable[[Request], Any]

ACTIVE = (Status.PENDING, Status.RUNNING)
MAX_TOLD = 10_000
ENDED = tuple(status for status in Status if status.is_terminal)


def route(path: str, endpoint: Endpoint, methods: Sequence[str] = ("GET",)) -> Route:
    """A route whose Problems are answered in the shape that the seeds' own servers have."""
    return Route(path, _async(endpoint) if inspect.iscoroutinefunction(endpoint) else _sync(endpoint), methods=methods)


def _async(endpoint: Endpoint) -> Endpoint:
    @functools.wraps(endpoint)
    async def call(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Problem as problem:
            return refused(problem)

    return call


def _sync(endpoint: Endpoint) -> Endpoint:
    @functools.wraps(endpoint)
    def call(request: Request) -> Response:
        try:
            return endpoint(request)
        except Problem as problem:
            return refused(problem)

    return call


def refused(problem: Problem) -> Response:
    """A problem as `{"detail": …}`, what FastAPI answers and the seeds' clients know."""
    return json_response({"detail": problem.detail}, dict(problem.headers or {}), problem.status)


class View:
    """What a request may see of a registry; `what` is the seed's word for an operation."""

    def __init__(self, registry: Registry, what: str = "operation") -> None:
        self.registry = registry
        self.what = what

    def all(self, request: HTTPConnection, statuses: Iterable[str] | None = None) -> Iterator[Operation]:
        """The operations, newest first, each read when it is asked for."""
        wanted = EVERYTHING if statuses is None else Selection(statuses=frozenset(statuses))
        return visible(self.registry, request, wanted)

    def one(self, request: Request) -> Operation:
        """The operation that the path names as `{id}`. Raises Problem (404), for a stranger's one too."""
        try:
            return asked_operation(self.registry, request)
        except Problem as problem:
            raise Problem(problem.status, problem.kind, f"{self.what.capitalize()} not found") from None

    def open(self, hub: Hub, request: Request) -> tuple[Reader, Operation]:
        """A reader of that operation, and how it stands. Raises Problem (404, 429, 503)."""
        operation_id = self.one(request).operation_id
        reader = hub.open(operation_id=operation_id, principal=access_of(request.scope).principal)
        try:
            return reader, self.one(request)  # again: nothing is missed between the two
        except Problem:
            reader.close()
            raise


class News:
    """What one connection was told: a beat may bring again what a snapshot or a loud change has shown already."""

    def __init__(self) -> None:
        self._told: dict[str, EventId] = {}

    def is_new(self, operation: Operation) -> bool:
        """Whether the operation has changed since it was asked about here; asking is telling."""
        before, now = self._told.pop(operation.operation_id, None), EventId.of(operation)
        if not operation.is_terminal:
            self._told[operation.operation_id] = now
            if len(self._told) > MAX_TOLD:
                del self._told[next(iter(self._told))]
        return before != now
