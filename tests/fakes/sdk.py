"""What a test knows of an SDK: how applications make its clients, and the calls that they make.

The endings, the transparency and the fault injection run for each `Sdk` of the table in `sdks.py`.
"""

from __future__ import annotations

import inspect
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from operator import attrgetter
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pydantic

from tests.fakes.serving import FakeServer, Wire, asked_of

PROMPT = "Does it work?"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake servers are."""

    answer: str


@dataclass(frozen=True)
class Case:
    """`method` (or where older versions have it, `older`) of a client, called with `options` and a model.

    `closable` tells whether the streams of the sync client, and those of the async one, can be closed; `lets_go`
    whether closing one that was begun only lets go of what the SDK reads, so that it looks dropped. `is_late` tells
    that nothing is sent before one is begun. `turned` are exceptions that the SDK makes of those of its HTTP library
    after these were seen: each with what it was.
    """

    provider: str
    name: str
    method: str
    options: tuple[tuple[str, Any], ...]
    older: str = ""
    model_as: str = "model"
    closable: tuple[bool, bool] = (True, True)
    lets_go: tuple[bool, bool] = (False, False)
    is_late: bool = False
    turned: tuple[tuple[str, str], ...] = ()

    def call(self, client: Any, model: str, **more: Any) -> Any:
        """What the application writes."""
        return self.method_of(client)(**{self.model_as: model}, **dict(self.options), **more)

    def method_of(self, client: Any) -> Any:
        """The bound method."""
        try:
            return attrgetter(self.method)(client)
        except AttributeError:
            return attrgetter(self.older or self.method)(client)

    def is_offered(self, client: Any) -> bool:
        """False where the installed version has no such method, or one that does not take all of the options."""
        try:
            taken = inspect.signature(self.method_of(client)).parameters
        except AttributeError:
            return False
        takes_any = any(each.kind is each.VAR_KEYWORD for each in taken.values())
        return takes_any or {name for name, _ in self.options} <= taken.keys()

    def __str__(self) -> str:
        return f"{self.provider}.{self.name}"


@dataclass(frozen=True)
class Reply:
    """What a server in the same process answers."""

    status: int
    kind: str
    parts: Iterable[bytes]


Respond = Callable[[str, Any, bytes], Reply]
"""Takes a request's URL, its raw headers, and its body."""

SyncClient = Callable[[str], AbstractContextManager[Any]]
AsyncClient = Callable[[str], AbstractAsyncContextManager[Any]]


def offered(sync_client: SyncClient, *cases: Case) -> tuple[Case, ...]:
    """The cases that the installed version has."""
    with sync_client("http://127.0.0.1:1") as client:
        return tuple(case for case in cases if case.is_offered(client))


def no_response(_stream: Any) -> Any:
    """For SDKs that hide the HTTP response behind a stream."""
    return None


@dataclass(frozen=True)
class Opened:
    """Makes the call, with its client and model bound; `http_response` finds the response behind its stream."""

    make: Callable[[], Any]
    http_response: Callable[[Any], Any] = no_response

    def __call__(self) -> Any:
        return self.make()


def itself(answer: Any) -> object:
    """An answer that can be compared."""
    return answer


@dataclass(frozen=True, eq=False)
class Sdk:
    """One SDK, in the installed version, and the server that it talks to in tests.

    `sync_client` and `async_client` give a client that asks once, for a server's URL; `open_async_client` one that
    nobody closes. `over` gives a client of each kind whose requests are answered in the process, by the SDK's own HTTP
    library. `http_response` finds the response behind a stream. `told` says what is kept of the messages of the
    server's errors. `facts` makes an answer comparable, where its class does not. The asynchronous ones are None for an
    SDK that has no such client.
    """

    provider: str
    server: Callable[[], FakeServer]
    wire: Wire
    sync_client: SyncClient
    over: Callable[[Respond], tuple[Any, Any]]
    streams: tuple[Case, ...]
    answers: tuple[Case, ...]
    async_client: AsyncClient | None = None
    open_async_client: Callable[[str], Any] | None = None
    http_response: Callable[[Any], Any] = no_response
    told: Mapping[str, str] = field(default_factory=dict)
    facts: Callable[[Any], object] = itself

    @property
    def shows_response(self) -> bool:
        """True when applications can get at the HTTP response behind a stream."""
        return self.http_response is not no_response

    def respond(self, url: str, content: bytes) -> Reply:
        """What the fake server would answer, in one part for each event of a stream and in two for a whole answer."""
        path, asked = urlsplit(url).path, asked_of(content)
        if self.wire.model_of(path, asked) == "refused":
            return Reply(400, "application/json", [json.dumps(self.wire.error("no such thing", "refused")).encode()])
        if self.wire.is_streamed(path, asked):
            return Reply(200, self.wire.event_type, [as_bytes(event) for event in self.wire.events(path, asked)])
        text = json.dumps(self.wire.answer(path, asked)).encode()
        return Reply(200, "application/json", [text[:20], text[20:]])


def as_bytes(event: str | bytes) -> bytes:
    """An event as it goes over the wire."""
    return event if isinstance(event, bytes) else event.encode()


def transport(http: ModuleType, respond: Respond) -> Any:
    """A transport for clients of httpx or httpx2, which answers in the process."""

    class Body(http.SyncByteStream, http.AsyncByteStream):
        def __init__(self, parts: Iterable[bytes]) -> None:
            self._parts = parts

        def __iter__(self) -> Iterator[bytes]:
            yield from self._parts

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self._parts:
                yield part

    def answer(request: Any) -> Any:
        reply = respond(str(request.url), request.headers.raw, request.content)
        return http.Response(reply.status, headers={"content-type": reply.kind}, stream=Body(reply.parts))

    return http.MockTransport(answer)
