"""One fixture for all: the same thing done without midspan and with it, on the SDK's own transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.testing import Captured, capture
from tests.fakes.openai_calls import http
from tests.fakes.openai_server import answer_of, events_of

T = TypeVar("T")


@dataclass
class Wire:
    """What went over the wire: each request with its headers and its body, and how many parts of bodies were read."""

    requests: list[tuple[str, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    parts_read: int = 0


class Body(http.SyncByteStream, http.AsyncByteStream):
    """A body that counts what is read of it."""

    def __init__(self, wire: Wire, parts: list[str]) -> None:
        self._wire, self._parts = wire, parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._wire.parts_read += 1
            yield part.encode()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def responder(wire: Wire) -> Callable[[Any], Any]:
    def respond(request: Any) -> Any:
        wire.requests.append((str(request.url), request.headers.raw, request.content))
        asked = json.loads(request.content)
        if asked["model"] == "refused":
            return http.Response(400, json={"error": {"message": "no"}})
        if asked.get("stream"):
            parts, kind = list(events_of(request.url.path, asked)), "text/event-stream"
        else:
            text = json.dumps(answer_of(request.url.path, asked))
            parts, kind = [text[:20], text[20:]], "application/json"
        return http.Response(200, headers={"content-type": kind}, stream=Body(wire, parts))

    return respond


@dataclass
class Client:
    """A client of each kind, and what goes over its wire."""

    sync: openai.OpenAI
    own: openai.AsyncOpenAI
    wire: Wire


URL = "http://model.example/v1"


def clients() -> Client:
    wire = Wire()
    transport = http.MockTransport(responder(wire))
    options: Any = {"api_key": "x", "base_url": URL, "max_retries": 0}
    return Client(
        openai.OpenAI(**options, http_client=http.Client(transport=transport)),
        openai.AsyncOpenAI(**options, http_client=http.AsyncClient(transport=transport)),
        wire,
    )


Do = Callable[[Client], object]
AsyncDo = Callable[[Client], Awaitable[object]]


@dataclass
class Both:
    """Does things twice, and says what each time was seen. `captured` is what midspan saw."""

    captured: Captured | None = None

    def __call__(self, do: Do) -> tuple[object, object]:
        """(without midspan, with midspan)."""
        self._once(do)  # the SDK completes its classes at their first use
        return self._once(do), self._instrumented(lambda: self._once(do))

    def asynchronous(self, do: AsyncDo) -> tuple[object, object]:
        """The same for a coroutine function."""
        return self(lambda client: asyncio.run(_awaited(do, client)))

    def _once(self, do: Do) -> object:
        client = clients()
        try:
            seen: object = do(client)
        except Exception as error:
            seen = type(error), str(error)
        return seen, client.wire

    def _instrumented(self, run: Callable[[], T]) -> T:
        instrumentation.apply()
        try:
            with capture() as self.captured:
                return run()
        finally:
            instrumentation.undo()

    @property
    def operations(self) -> int:
        """How many operations midspan has seen."""
        assert self.captured is not None
        return len(self.captured.operations)


async def _awaited(do: AsyncDo, client: Client) -> object:
    return await do(client)


@pytest.fixture
def both() -> Both:
    return Both()
