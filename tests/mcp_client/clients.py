"""The official SDK's own client, of either major version, behind one face."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

MAJOR = int(version("mcp").partition(".")[0])
MODES = ("legacy",) if MAJOR == 1 else ("legacy", "auto")
"""`auto` is the protocol of 2026-07-28, which version 1 does not speak."""

Progress = Callable[[float, float | None, str | None], Awaitable[None]]


class Client:
    """A connected client: `session` is the SDK's."""

    def __init__(self, session: Any) -> None:
        self.session = session

    async def tools(self) -> dict[str, Any]:
        return {tool.name: plain(tool) for tool in (await self.session.list_tools()).tools}

    async def call(
        self, name: str, progress: Progress | None = None, /, **arguments: Any
    ) -> tuple[dict[str, Any], bool]:
        """The envelope, and whether it is an error's."""
        result = plain(await self.session.call_tool(name, arguments, progress_callback=progress))
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        return result["structuredContent"], result.get("isError", False)

    async def data(self, name: str, progress: Progress | None = None, /, **arguments: Any) -> Any:
        """The data of a call that went well."""
        envelope, failed = await self.call(name, progress, **arguments)
        assert not failed and envelope["status"] == "success", envelope
        return envelope["data"]

    async def resources(self) -> list[dict[str, Any]]:
        return [plain(each) for each in (await self.session.list_resources()).resources]

    async def templates(self) -> list[dict[str, Any]]:
        listed = plain(await self.session.list_resource_templates())
        return listed["resourceTemplates"]

    async def read(self, uri: str) -> Any:
        from pydantic import AnyUrl

        result = plain(await self.session.read_resource(AnyUrl(uri) if MAJOR == 1 else uri))
        return json.loads(result["contents"][0]["text"])


def plain(value: Any) -> dict[str, Any]:
    """As it was on the wire."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


@asynccontextmanager
async def connected(url: str, mode: str, **options: Any) -> AsyncIterator[Client]:
    """A client of the server at `url`, which has shaken hands the way that `mode` says."""
    if MAJOR == 1:
        from mcp.client.session import ClientSession
        from mcp.client.streamable_http import streamable_http_client

        async with streamable_http_client(url) as (reading, writing, _), ClientSession(reading, writing) as session:
            await session.initialize()
            yield Client(session)
    else:
        from mcp.client.client import Client as SdkClient

        async with SdkClient(url, mode=mode, **options) as session:
            yield Client(session)
