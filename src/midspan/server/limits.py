"""How large a request may be."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.server.problem import Problem

MAX_URL_BYTES = 8 * 1024


class UrlLimit:
    """ASGI middleware: a path with its query of more than 8 KiB is answered with 414."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _url_bytes(scope) > MAX_URL_BYTES:
            detail = f"path and query may have {MAX_URL_BYTES} bytes together"
            await Problem(414, "url-too-long", detail).response(scope)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _url_bytes(scope: Scope) -> int:
    return len(scope["path"]) + len(scope.get("query_string", b""))
