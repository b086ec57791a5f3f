"""One HTTP request at a time, and server-sent events (WHATWG HTML, section 9.2), with the standard library."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:9465"
SILENCE_SECONDS = 60.0
"""A stream that says nothing for so long is dead: the server sends a heartbeat every 15 seconds."""


class ApiError(RuntimeError):
    """The server refused a request: `status` is the HTTP one, the message is the server's detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"HTTP {status}: {detail}" if detail else f"HTTP {status}")
        self.status = status


class ServerEvent(NamedTuple):
    """One server-sent event: its type (`message` for unnamed ones), its data as text, its id."""

    type: str
    data: str
    id: str | None = None


class Answer(NamedTuple):
    """What a request was answered with."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body as plain values, None where there is none. Raises ApiError for a status from 400 on."""
        value = json.loads(self.body) if self.body and "json" in self.content_type else None
        if self.status >= 400:
            detail = value.get("detail", "") if isinstance(value, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            raise ApiError(self.status, str(detail))  # pyright: ignore[reportUnknownArgumentType]
        return value


class Api:
    """Where the API is, and with which token it is asked. `base_url` may have a path, where it is mounted below one.

    Without a `base_url` it is where `MIDSPAN_SERVER` says, or http://127.0.0.1:9465. Raises ValueError for no http URL.
    """

    def __init__(self, base_url: str | None = None, *, token: str | None = None, timeout: float = 30.0) -> None:
        self.base_url = (base_url or default_url()).rstrip("/")
        self.timeout = timeout
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url {self.base_url!r} is not an http(s) URL")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._kind, self._host, self._port, self._prefix = kind, parts.hostname, parts.port, parts.path
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request and read its whole answer. Raises OSError where there is none."""
        connection = self._send(method, path, body, self.timeout, headers)
        try:
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers.get_content_type(), answer.read())
        finally:
            connection.close()

    def stream(self, path: str) -> EventStream:
        """Follow server-sent events. Raises OSError where nobody answers."""
        return EventStream(self._send("GET", path, None, SILENCE_SECONDS, {"Accept": "text/event-stream"}))

    def _send(
        self, method: str, path: str, body: object, timeout: float, headers: dict[str, str]
    ) -> http.client.HTTPConnection:
        connection = self._kind(self._host, self._port, timeout=timeout)
        sent = {"Accept": "application/json", **self._headers, **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, f"{self._prefix}{path}", content, sent)
        except BaseException:
            connection.close()
            raise
        return connection


class EventStream:
    """The events of one connection; `status` is the HTTP one, and there are none unless it is 200."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._socket = connection.sock
        try:
            self._answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        self.status = self._answer.status

    def __iter__(self) -> Iterator[ServerEvent]:
        return parse_events(iter(self._answer.readline, b"")) if self.status == 200 else iter(())

    def leave(self) -> None:
        """End the events, from any thread: one that waits for the next is woken, and may close."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave, and let go of the connection."""
        self.leave()
        self._connection.close()
        self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_events(lines: Iterator[bytes]) -> Iterator[ServerEvent]:
    """Lines → events. Comments and unknown fields are skipped, and so is what the end cuts off."""
    kind, data, last_id = "", list[str](), None
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield ServerEvent(kind or "message", "\n".join(data), last_id)
            kind, data = "", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value


def default_url() -> str:
    """Where `MIDSPAN_SERVER` says that the server listens, or its default address."""
    host, colon, port = os.environ.get("MIDSPAN_SERVER", "").strip().rpartition(":")
    if not (colon and host and port.isdigit()):
        return DEFAULT_URL
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}"
