"""One row for each thing that the API answers: routes are made from the rows, and so is the OpenAPI document."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MethodType

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.server.parameters import Parameter
from midspan.server.query import allow_only

Call = Callable[..., Response | Awaitable[Response]]
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a request is answered: the media types and the type of the body (None: no body)."""

    meaning: str
    body: object = None
    media: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A method of a path. `problems` are the statuses with which it may refuse, beside those that every path has.

    `call` takes the request; in a table it is a method, which `bound` gives its object. It may be a coroutine function;
    another one runs in a thread, so that it never stops the event loop of an application that this is mounted in. None:
    the route is made elsewhere.
    """

    method: str
    path: str
    summary: str
    call: Call | None = None
    parameters: tuple[Parameter, ...] = ()
    body: object = None
    optional_body: bool = False
    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    problems: tuple[int, ...] = ()

    async def answer(self, request: Request) -> Response:
        """The answer to a request. Raises Problem (400) for a query parameter that is not in the row."""
        allow_only(request.query_params, [each for each in self.parameters if each.place == "query"])
        assert self.call is not None
        if inspect.iscoroutinefunction(self.call):
            return await self.call(request)
        return await run_in_threadpool(self.call, request)  # pyright: ignore[reportReturnType] - no coroutine


def bound(table: Iterable[Endpoint], to: object) -> list[Endpoint]:
    """The rows of a table with the methods of one object."""
    return [replace(row, call=MethodType(row.call, to)) for row in table if row.call is not None]


def routes_of(endpoints: Iterable[Endpoint]) -> list[Route]:
    """One route for each path, so that a wrong method is answered with all the right ones."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        if endpoint.call is not None:
            paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_route(path, methods) for path, methods in paths.items()]


def _route(path: str, methods: dict[str, Endpoint]) -> Route:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method].answer(request)

    return Route(path, answer, methods=list(methods))
