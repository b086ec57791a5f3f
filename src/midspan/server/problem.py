"""Errors as RFC 9457 problems: `application/problem+json`, the same for every route and every middleware."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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
    """Exception handler: what the router says itself, as unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = f"{request.method} is not answered here: {error.detail}"
    return Problem(error.status_code, kind, detail, headers=error.headers).response(request.scope)
