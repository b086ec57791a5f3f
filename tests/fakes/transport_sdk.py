"""An SDK that is nothing but requests over one HTTP library or another, and the server that they go to.

The path says what the server does: `/ok` and `/stream` answer, `/limited` refuses each first request for 30 seconds,
`/refused` each, `/cut` breaks off in the middle, `/told` asks `on_request` before it answers.
"""

from __future__ import annotations

import itertools
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import httpx
import httpx2
import requests

from midspan_instrumentation.provider import Provider, Reading, Request, Server, Target

PARTS = (b"one", b"two", b"three")
RETRY_AFTER = 30
DATE = "Wed, 21 Oct 2037 07:28:00 GMT"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NO_TLS.check_hostname, NO_TLS.verify_mode = False, ssl.CERT_NONE


class Refused(Exception):  # noqa: N818 - SDKs name theirs so
    """The server has refused the request."""


class Sync:
    """Over httpx2, httpx or requests. `pause` is called between two attempts."""

    def __init__(self, library: str, pause: Callable[[], object] = lambda: None) -> None:
        self.http: Any = requests.Session() if library == "requests" else _httpx(library).Client(verify=NO_TLS)
        self.pause = pause

    def ask(self, url: str, *, stream: bool = False, attempts: int = 1, within: float = 10.0) -> Any:
        """The bytes of the answer; of a stream the response of the HTTP library, unread."""
        for left in reversed(range(attempts)):
            response = self._send(url, stream, within)
            if response.status_code < 400:
                return response if stream else response.content
            if left:
                self.pause()
        raise Refused(f"status {response.status_code}")

    def _send(self, url: str, stream: bool, within: float) -> Any:
        if isinstance(self.http, requests.Session):
            return self.http.post(url, data=b"{}", stream=stream, timeout=within, verify=False)
        request = self.http.build_request("POST", url, content=b"{}", timeout=within)
        return self.http.send(request, stream=stream)


class Async:
    """Over httpx2, httpx or aiohttp; made inside the event loop."""

    def __init__(self, library: str, pause: Callable[[], object] = lambda: None) -> None:
        own = library == "aiohttp"
        self.http: Any = aiohttp.ClientSession() if own else _httpx(library).AsyncClient(verify=NO_TLS)
        self.pause = pause

    async def ask(self, url: str, *, stream: bool = False, attempts: int = 1, within: float = 10.0) -> Any:
        """The same, awaited."""
        for left in reversed(range(attempts)):
            response, status = await self._send(url, stream, within)
            if status < 400:
                return response if stream else await _content(response)
            if left:
                self.pause()
        raise Refused(f"status {status}")

    async def _send(self, url: str, stream: bool, within: float) -> tuple[Any, int]:
        if isinstance(self.http, aiohttp.ClientSession):
            limit = aiohttp.ClientTimeout(total=within)
            response: Any = await self.http.post(url, data=b"{}", timeout=limit, ssl=NO_TLS)
            if response.status >= 400:
                response.release()
            return response, response.status
        request = self.http.build_request("POST", url, content=b"{}", timeout=within)
        response = await self.http.send(request, stream=stream)
        return response, response.status_code

    async def close(self) -> None:
        """The end of its connections."""
        await (self.http.close() if isinstance(self.http, aiohttp.ClientSession) else self.http.aclose())


def _httpx(library: str) -> Any:
    return httpx if library == "httpx" else httpx2


async def _content(response: Any) -> bytes:
    if not isinstance(response, aiohttp.ClientResponse):
        return response.content
    async with response:
        return await response.read()


def _target(qualname: str, is_async: bool = False) -> Target:
    return Target(
        module=__name__,
        qualname=f"{qualname}.ask",
        operation="chat",
        read_request=lambda *_, stream=False, **__: Request(model="m", stream=stream),
        read_response=lambda _: Reading(),
        is_async=is_async,
    )


PROVIDER = Provider(
    "fake",
    (_target("Sync"), _target("Async", is_async=True)),
    read_server=lambda _: Server("localhost"),
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # What is written in parts would wait, 40 ms each time, for the client's system to confirm the part before.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read no access log."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        limited = self.path == "/limited" and next(self.server.turns) % 2 == 0  # type: ignore[attr-defined]
        if limited or self.path == "/refused":
            self._send(429, b"{}")
            return
        self.server.on_request(self.path)  # type: ignore[attr-defined]
        self._send(200, None if self.path in ("/stream", "/cut") else b"".join(PARTS))

    def _send(self, status: int, content: bytes | None) -> None:
        self.send_response(status)
        self.send_header("retry-after", DATE if self.path == "/refused" else str(RETRY_AFTER))
        kind = ("transfer-encoding", "chunked") if content is None else ("content-length", str(len(content)))
        self.send_header(*kind)
        self.end_headers()
        for part in PARTS if content is None else ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if self.path == "/cut":
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n" if content is None else content)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the tests."""


@contextmanager
def serving(on_request: Callable[[str], object] = lambda _: None) -> Iterator[str]:
    """The address of the server, which runs inside."""
    server: Any = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.on_request, server.turns = True, on_request, itertools.count()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
