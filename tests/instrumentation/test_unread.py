"""Bodies that an application awaits the reading of, by hand: no SDK of this environment has any."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import wrapt

from midspan.core.operation import Status
from midspan.testing import Captured
from midspan.tracking import instrumenting
from midspan_instrumentation._stream import Watch
from midspan_instrumentation._unread import watch_body
from midspan_instrumentation.provider import Reading, Request, Target
from tests.instrumentation.seen import the_operation

TARGET = Target("sdk", "Client.ask", "chat", lambda: Request(), lambda _: Reading(), is_async=True)


class ReadError(Exception):
    """As the SDK raises it."""


class Body:
    """Its reading is another coroutine function."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read

    async def read(self) -> bytes:
        return await self._read()


class ProxyBody(wrapt.ObjectProxy):
    """A body around what is below, as those of some SDKs are."""

    async def read(self) -> bytes:
        return await self.__wrapped__.read()


def watched(body: Any) -> Watch:
    kind = instrumenting.CallKind("chat", "sdk", "ok", "llm_request", {})
    watch = Watch(instrumenting.start_call(kind), TARGET, 1)
    watch.held = False
    watch_body(body, watch)
    return watch


async def fail() -> bytes:
    raise ReadError("half of it")


async def forever() -> bytes:
    await asyncio.Event().wait()
    return b""


def test_what_the_awaited_reading_raises_is_how_the_call_has_failed(seen: Captured) -> None:
    body = Body(fail)
    watched(body)
    with pytest.raises(ReadError):
        asyncio.run(body.read())
    error = the_operation(seen).error
    assert error is not None and error.type.endswith("ReadError")


def test_a_task_that_is_cancelled_while_it_reads_cancels_the_call(seen: Captured) -> None:
    body = Body(forever)
    watched(body)

    async def read() -> None:
        async with asyncio.timeout(0):
            await body.read()

    with pytest.raises(TimeoutError):
        asyncio.run(read())
    assert (the_operation(seen).status, the_operation(seen).status_reason) == (Status.CANCELLED, "task cancelled")


def test_the_call_is_over_when_the_reading_returns_in_which_the_body_was_read_to_its_end(seen: Captured) -> None:
    async def read_below() -> bytes:
        watch.body_read()
        assert the_operation(seen).status is Status.RUNNING
        return b"all"

    body = Body(read_below)
    watch = watched(body)
    assert asyncio.run(body.read()) == b"all"
    assert the_operation(seen).status is Status.COMPLETED


def test_of_a_proxy_the_proxy_is_watched_and_what_is_below_stays_of_its_class(seen: Captured) -> None:
    below = Body(fail)
    body = ProxyBody(below)
    watched(body)
    assert (type(below), issubclass(type(body), ProxyBody)) == (Body, True)
    with pytest.raises(ReadError):
        asyncio.run(body.read())
    assert the_operation(seen).status is Status.FAILED
