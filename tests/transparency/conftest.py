"""One fixture for all: the same thing done without midspan and with it, on the SDK's own transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

import midspan_instrumentation as instrumentation
from midspan.testing import Captured, capture
from tests.fakes.openai_calls import SDK as OPENAI
from tests.fakes.sdk import Reply, Respond, Sdk

T = TypeVar("T")


@dataclass
class Wire:
    """What went over the wire: each request with its headers and its body, and how many parts of bodies were read."""

    requests: list[tuple[str, object, bytes]] = field(default_factory=list)
    parts_read: int = 0

    def counted(self, parts: list[bytes]) -> Iterator[bytes]:
        """Counts what is read of a body."""
        for part in parts:
            self.parts_read += 1
            yield part


def responder(wire: Wire, sdk: Sdk) -> Respond:
    def respond(url: str, headers: object, content: bytes) -> Reply:
        wire.requests.append((url, headers, content))
        reply = sdk.respond(url, content)
        return replace(reply, parts=wire.counted([*reply.parts]))

    return respond


@dataclass
class Client:
    """A client of each kind, and what goes over its wire."""

    sync: Any
    own: Any
    wire: Wire


def clients(sdk: Sdk = OPENAI) -> Client:
    wire = Wire()
    return Client(*sdk.over(responder(wire, sdk)), wire)


Do = Callable[[Client], object]
AsyncDo = Callable[[Client], Awaitable[object]]


@dataclass
class Both:
    """Does things twice, and says what each time was seen. `captured` is what midspan saw."""

    sdk: Sdk = OPENAI
    captured: Captured | None = None

    def __call__(self, do: Do) -> tuple[Any, Any]:
        """(without midspan, with midspan)."""
        self._once(do)  # the SDK completes its classes at their first use
        return self._once(do), self._instrumented(lambda: self._once(do))

    def asynchronous(self, do: AsyncDo) -> tuple[Any, Any]:
        """The same for a coroutine function."""
        return self(lambda client: asyncio.run(_awaited(do, client)))

    def _once(self, do: Do) -> object:
        client = clients(self.sdk)
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
