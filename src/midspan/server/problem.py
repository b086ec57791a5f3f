"""Errors as RFC 9457 problems: `application/problem+json`, the same for every route and every middleware."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.core.text import clean
from midspan.core.wire import encode


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An error answer: HTTP status, a stable `kind` for programs, a `detail` for people, and more members."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, clean(detail)
        self.headers, self.members = headers, members

    def body(self, path: str) -> dict[str, object]:
        """The problem as plain values, for a request to `path`."""
        return {
            "type": f"urn:midspan:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": quote(path, errors="replace"),
            **self.members,
        }

    def response(self, scope: Scope) -> Response:
        """The answer to the request of `scope`."""
        headers = {"content-type": "application/problem+json", **(self.headers or {})}
        return Response(encode(self.body(str(scope["path"]))), self.status, headers)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request with it; a WebSocket is turned away, with it where the server can do that."""
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", ()):
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.response(scope)(scope, receive, send)


async def on_problem(request: Request, error: Exception) -> Response:
    """Exception handler: what a route has raised as its answer."""
    assert isinstance(error, Problem)
    return error.response(request.scope)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Exception handler: what the router says itself, as to wrong methods."""
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    allowed = (error.headers or {}).get("Allow")
    reason = f"; accepted: {allowed}" if allowed else f": {error.detail}"
    detail = f"{request.method} is not answered here{reason}"
    return Problem(error.status_code, kind, detail, headers=error.headers).response(request.scope)


def unknown_path(hint: str) -> ASGIApp:
    """The ASGI app of every path that is none: 404 with a hint, 501 for a WebSocket that the server cannot speak."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = route_of(scope)
        problem = Problem(404, "not-found", f"nothing is served at {path!r}; {hint}")
        if scope["type"] == "http" and Headers(scope=scope).get("upgrade", "").lower() == "websocket":
            detail = "WebSockets need the package websockets: pip install 'midspan[run]'"
            problem = Problem(501, "websockets-not-installed", detail, extra="run")
        await problem.answer(scope, receive, send)

    return answer


def route_of(scope: Scope) -> str:
    """The path below the prefix that the app is mounted under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
