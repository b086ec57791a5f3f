"""Where `/mcp` is mounted; the SDK (the extra `mcp`) is imported with the first request, or found to be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from midspan.server import answers
from midspan.server.answers import Row
from midspan.server.hub import Hub
from midspan.server.mcp.tools import Tools
from midspan.server.problem import Problem
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry

if TYPE_CHECKING:
    from midspan.server.mcp.protocol import Protocol


def mcp_routes(registry: ProgressRegistry, hub: Hub, tasks: Tasks, row: Row = answers.row) -> list[Route]:
    """The route of the Model Context Protocol."""
    mount = Mount(Tools(registry, hub, tasks), row)
    return [Route(path, mount, methods=["POST"]) for path in ("/mcp", "/mcp/")]


class Mount:
    """ASGI app: one POST, one answer. 501 where the SDK is missing."""

    def __init__(self, tools: Tools, row: Row) -> None:
        self._tools = tools
        self._row = row
        self._protocol: Protocol | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._protocol is None:
            try:
                made = await run_in_threadpool(_load)
            except ImportError:
                await _missing().answer(scope, receive, send)
                return
            self._protocol = made(self._tools, self._row)
        await self._protocol.serve(scope, receive, send)


def _load() -> type[Protocol]:
    """Takes most of a second, so it is not for the event loop."""
    from uvicorn.server import Server

    before = Server.handle_exit
    try:
        from midspan.server.mcp.protocol import Protocol
    finally:
        # A library of the SDK's puts a function of its own there, into a process that may not be ours.
        Server.handle_exit = before
    return Protocol


def _missing() -> Problem:
    detail = "/mcp needs the package mcp, version 2: pip install 'midspan[mcp]'"
    return Problem(501, "mcp-not-installed", detail, extra="mcp")
