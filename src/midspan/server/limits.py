"""How large a request may be, and how long it may take to come in."""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midspan.server.problem import Problem

MAX_URL_BYTES = 8 * 1024
MAX_BODY_BYTES = 256 * 1024
MAX_JSON_DEPTH = 20
BODY_SECONDS = 30.0
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON_PARTS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class UrlLimit:
    """ASGI middleware: a path with its query of more than 8 KiB is answered with 414."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _url_bytes(scope) > MAX_URL_BYTES:
            detail = f"path and query may have {MAX_URL_BYTES} bytes together"
            await Problem(414, "url-too-long", detail).answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _url_bytes(scope: Scope) -> int:
    return len(scope["path"]) + len(scope.get("query_string", b""))


class BodyLimit:
    """ASGI middleware: a body is read before it is looked at, and is JSON, of at most 256 KiB and 20 levels.

    413 for a larger one, 415 for another content type (which a form of any web page could send without asking first),
    400 for deeper JSON, 408 for one that is not there after 30 seconds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _BODILESS:
            await self.app(scope, receive, send)
            return
        try:
            body = await _body(scope, receive)
        except Problem as problem:
            await problem.answer(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _Replay(body, receive), send)


class _Replay:
    """The body that was read already, then whatever comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._first: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._first = self._first, None
        return message if message is not None else await self._receive()


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None when the client has gone meanwhile."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive)
    except TimeoutError:
        raise Problem(408, "body-too-slow", f"the body was not there after {BODY_SECONDS:g} seconds") from None
    if body:
        _check_json(headers.get("content-type", ""), body)
    return body


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _check_json(content_type: str, body: bytes) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "json-needed", f"a body has the content type application/json here, not {kind!r}")
    if json_depth(body) > MAX_JSON_DEPTH:
        raise Problem(400, "json-too-deep", f"JSON may have {MAX_JSON_DEPTH} levels")


def json_depth(body: bytes) -> int:
    """How deep arrays and objects are nested, as far as it matters: it stops beyond 20 levels."""
    depth = deepest = 0
    for part in _JSON_PARTS.finditer(body):
        mark = part[0]
        if mark in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_JSON_DEPTH:
                break
        elif mark in (b"]", b"}"):
            depth -= 1
    return deepest


def _too_large() -> Problem:
    return Problem(413, "body-too-large", f"a body may have {MAX_BODY_BYTES} bytes", headers={"connection": "close"})
