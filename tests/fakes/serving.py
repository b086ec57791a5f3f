"""A provider's wire format over real HTTP on loopback: what is common to all of them, whatever they say.

What happens is chosen by the model that is asked for, so that one server serves every test:

| model      | what the server does                                                               |
|------------|------------------------------------------------------------------------------------|
| `ok`       | answers with `CONTENT`                                                              |
| `refused`  | status 400                                                                         |
| `flaky`    | status 500 to each first attempt, then answers                                     |
| `silent`   | takes the request and sends nothing until the server closes                        |
| `hanging`  | a stream's first two tokens, then nothing until the server closes                  |
| `cut`      | closes the connection in the middle of the answer                                  |
| `gated`    | sends each event of a stream only when `gate.release()` lets it                    |
| `limited`  | an answer cut at its token limit                                                   |
| `failing`  | the server reports an error inside the stream                                      |
| `echoing`  | status 400, with an error that repeats the prompt                                  |
| `parrot`   | answers with the prompt, in two parts                                              |
| `odd`      | chunks with null, missing and empty parts, as some services send them              |
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl

CONTENT = ("It", " works", ".")
USAGE = {"input": 7, "output": 3}
DEADLINE = 30.0

Json = dict[str, Any]


class Wire(Protocol):
    """How a provider says things. `path` is without its query; `events` are complete, with their separators.

    Most of them name the model and ask for a stream in fields of the request.
    """

    event_type: str = "text/event-stream"

    def model_of(self, path: str, request: Json) -> str:
        """The model that is asked for."""
        return request["model"]

    def is_streamed(self, path: str, request: Json) -> bool:
        """True when the answer is a stream."""
        return request.get("stream") is True

    def answer(self, path: str, request: Json) -> Json:
        """The whole answer to a request."""
        ...

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        """The answer to a request for a stream, event by event."""
        ...

    def is_token(self, event: str | bytes) -> bool:
        """True for an event that holds a part of `CONTENT`."""
        ...

    def error(self, message: str, kind: str) -> Json:
        """The body of an answer with an error's status."""
        ...

    def prompt(self, path: str, request: Json) -> str:
        """What was asked."""
        ...


_FIELD = re.compile(rb'name="([^"]+)"\r\n\r\n(.*?)\r\n--', re.DOTALL)


def asked_of(content: bytes) -> Json:
    """The fields of a request: it is JSON, or a form, in parts where a file goes with it."""
    if content.startswith(b"{"):
        return json.loads(content)
    in_parts = {name.decode(): value.decode() for name, value in _FIELD.findall(content)}
    fields = in_parts if content.startswith(b"--") else dict(parse_qsl(content.decode()))
    return {name: value == "true" or value for name, value in fields.items()}


class FakeServer:
    """The server, in a thread of its own, until the end of the `with` block.

    `requests` are the bodies received, in order; `gate` paces the model `gated`. `prefix` is the path that an SDK's
    own paths come after.
    """

    def __init__(self, wire: Wire, prefix: str = "") -> None:
        self.wire = wire
        self.requests: list[Json] = []
        self.gate = threading.Semaphore(0)
        self.closing = threading.Event()
        self.turns = itertools.cycle((True, False))
        self._prefix = prefix
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        """What an SDK's client is given."""
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    @property
    def port(self) -> int:
        """The free port that was picked."""
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the tests."""


class _CutError(Exception):
    """The connection ends here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def fake(self) -> FakeServer:
        return self.server.fake  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read no access log."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Always the same: an SDK that prints the headers with its errors prints it too."""
        return "Sat, 21 Nov 2026 12:00:00 GMT"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        request = asked_of(self.rfile.read(length))
        self.fake.requests.append(request)
        try:
            self._answer(self.path.partition("?")[0], request)
        except (_CutError, OSError):
            # Ours, or the client has gone.
            self.close_connection = True

    def _answer(self, path: str, request: Json) -> None:
        wire = self.fake.wire
        model = wire.model_of(path, request)
        if model == "refused":
            self._send_json(wire.error("no such thing", "invalid_request_error"), status=400)
        elif model == "echoing":
            repeated = f"not acceptable: {wire.prompt(path, request)}"
            self._send_json(wire.error(repeated, "invalid_request_error"), status=400)
        elif model == "flaky" and next(self.fake.turns):
            self._send_json(wire.error("try again", "server_error"), status=500)
        elif model == "silent":
            self._hang()
        elif wire.is_streamed(path, request):
            self._send_events(model, wire.events(path, request))
        else:
            self._send_json(wire.answer(path, request), cut=model == "cut")

    def _send_json(self, body: Json, status: int = 200, cut: bool = False) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            raise _CutError

    def _send_events(self, model: str, events: Iterator[str | bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", self.fake.wire.event_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        tokens = 0
        for event in events:
            if model == "gated":
                self.fake.gate.acquire(timeout=DEADLINE)
            self._send_part(event)
            tokens += self.fake.wire.is_token(event)
            if tokens == 2 and model == "hanging":
                self._hang()
            if tokens == 2 and model == "cut":
                raise _CutError
        self.wfile.write(b"0\r\n\r\n")

    def _send_part(self, event: str | bytes) -> None:
        part = event if isinstance(event, bytes) else event.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def _hang(self) -> None:
        self.fake.closing.wait(DEADLINE)
        raise _CutError
