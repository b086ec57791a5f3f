"""Seed S1's client: tools over `POST /mcp`, progress over `/progress/{id}/stream`, or by polling."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, cast
from urllib.parse import quote

from midspan.client.connection import Answer, Api, parse_events
from midspan.client.following import Following

Row = dict[str, Any]
OnProgress = Callable[[Row], object]


class MCPClient:
    """Calls MCP tools with bare JSON-RPC requests (seed S1-15, S1-31); no session is kept."""

    def __init__(self, base_url: str | None = None, *, token: str | None = None, timeout: float = 60.0) -> None:
        self.api = Api(base_url, token=token, timeout=timeout)
        self._numbers = itertools.count(1)

    async def call_and_parse(self, tool: str, arguments: Mapping[str, Any] | None = None) -> Row:
        """What the tool answers, as a dict; `{"status": "error", "error": …}` where it could not be called.

        Raises OSError where nobody answers.
        """
        call = {
            "jsonrpc": "2.0",
            "method": "tools/call",
            "id": next(self._numbers),
            "params": {"name": tool, "arguments": dict(arguments or {})},
        }
        headers = {"Accept": "application/json, text/event-stream"}
        answer = await asyncio.to_thread(lambda: self.api.ask("POST", "/mcp", call, **headers))
        return _failed(f"HTTP {answer.status}") if answer.status >= 400 else _parsed(_message(answer))


async def stream_progress(
    base_url: str, operation_id: str | None = None, callback: OnProgress | None = None, *, token: str | None = None
) -> Row:
    """Follow an operation to its end, each progress given to `callback`; its last progress with `final_status`.

    With one argument that is the operation's id, and the server the default one (ruling C18). A refusal, a failure and
    a stream that ends without any progress are `{"status": "error", "error": …}`; one that breaks off later gives its
    last progress, without `final_status`. Raises OSError where nobody answers.
    """
    where, what = (None, base_url) if operation_id is None else (base_url, operation_id)
    last = Row()
    async with Following(Api(where, token=token), f"/progress/{quote(what, safe='')}/stream") as stream:
        if stream.status != 200:
            return _failed(f"HTTP {stream.status}")
        async for event in stream:
            data = _row(event.data)
            if data is None:
                continue  # as the seed's own client does
            if event.type == "progress":
                last = data
                await _told(callback, data)
            elif event.type == "done":
                return {**last, "final_status": data.get("status")} if last else data
            elif event.type == "error":
                return _failed(data.get("error"))
    return last or _failed("Stream ended")


async def start_and_stream(
    base_url: str | None,
    task_type: str,
    duration_seconds: float = 30,
    steps: int = 10,
    callback: OnProgress | None = None,
    *,
    token: str | None = None,
) -> Row:
    """Start the task, follow it, and return what `get_task_result` says once it has completed (seed S1-14)."""
    client = MCPClient(base_url, token=token)
    asked = {"task_type": task_type, "duration_seconds": duration_seconds, "steps": steps}
    started = await client.call_and_parse("start_long_task", asked)
    if started.get("status") != "success":
        return started
    operation_id = started["data"]["operation_id"]
    last = await stream_progress(client.api.base_url, operation_id, callback, token=token)
    if last.get("status") != "completed":
        return last
    return await client.call_and_parse("get_task_result", {"operation_id": operation_id})


async def poll_progress(
    client: MCPClient | str,
    operation_id: str | None = None,
    interval: float = 1.0,
    timeout: float = 300.0,  # noqa: ASYNC109 - the seed's parameter
    *,
    callback: OnProgress | None = None,
) -> Row:
    """Ask every `interval` seconds until the task has ended: its data, or `{"status": "error", …}` (seed S1-24).

    With one argument that is the operation's id. After `timeout` seconds the error is `Timeout`.
    """
    asked = MCPClient() if isinstance(client, str) else client
    what = {"operation_id": client if isinstance(client, str) else operation_id}
    until = monotonic() + timeout
    while monotonic() < until:
        progress = await asked.call_and_parse("get_task_progress", what)
        if progress.get("status") == "success":
            data = progress["data"]
            await _told(callback, data)
            if data["status"] == "failed":
                return _failed(data.get("error"))
            if data["status"] != "running":
                return data
        await asyncio.sleep(interval)
    return _failed("Timeout")


async def safe_stream(
    operation_id: str,
    timeout: float = 300.0,  # noqa: ASYNC109 - the seed's parameter
    *,
    base_url: str | None = None,
    callback: OnProgress | None = None,
    token: str | None = None,
) -> Row:
    """As `stream_progress`, for at most `timeout` seconds; then the error is `Operation timed out` (seed S1-28)."""
    try:
        async with asyncio.timeout(timeout):
            return await stream_progress(base_url or Api().base_url, operation_id, callback, token=token)
    except TimeoutError:
        return _failed("Operation timed out")


async def _told(callback: OnProgress | None, data: Row) -> None:
    said = None if callback is None else callback(data)
    if inspect.isawaitable(said):
        await said


def _failed(error: object) -> Row:
    return {"status": "error", "error": error}


def _message(answer: Answer) -> Row:
    """The JSON-RPC response, which may come as the only event of a stream."""
    if answer.content_type != "text/event-stream":
        return json.loads(answer.body)
    said = [_row(event.data) for event in parse_events(iter(answer.body.splitlines(keepends=True)))]
    return next((message for message in said if message and "id" in message), Row())


def _parsed(message: Row) -> Row:
    """The dict that a tool has answered with, whichever of MCP's ways it took."""
    if "error" in message:
        return _failed(message["error"].get("message"))
    result = message.get("result", {})
    if isinstance(result.get("structuredContent"), dict):
        return result["structuredContent"]
    texts = [part["text"] for part in result.get("content", ()) if part.get("type") == "text"]
    said = _row("".join(texts))
    return _failed("".join(texts) or "no answer") if said is None else said


def _row(text: str) -> Row | None:
    """The JSON object that the text is, or None."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return cast("Row", value) if isinstance(value, dict) else None
