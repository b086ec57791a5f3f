"""The outermost layer: headers that every answer carries, and errors that nobody else has handled."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midspan.core import failures
from midspan.server.problem import Problem

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Guard:
    """ASGI middleware: an unhandled error is reported, and answered with a 500 problem that tells nothing of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception:
            failures.report("server")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            failures.report("server")
            if not begun:
                answer = Problem(500, "internal-error", "midspan failed to answer; its log says why")
                await answer.response(scope)(scope, receive, send_with_headers)
