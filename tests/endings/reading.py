"""How an application reads a stream, and stops reading it: each way sync and async."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, closing, nullcontext
from typing import Any

from tests.fakes.sdk import Opened

DEADLINE = 20.0


class AppError(Exception):
    """The application's own failure, while it reads."""


def entering(result: Any) -> AbstractContextManager[Any]:
    """A stream for a `with` block: some are context managers, others can only be closed, or not even that."""
    if hasattr(result, "__enter__"):
        return result
    return closing(result) if hasattr(result, "close") else nullcontext(result)


def begun(call: Opened) -> Any:
    """A stream that nobody has closed: its context manager, where it has one, is entered and never left."""
    result = call()
    return result.__enter__() if hasattr(result, "__enter__") else result


def close(stream: Any) -> None:
    """What an application does that has read enough."""
    stream.close() if hasattr(stream, "close") else stream.__exit__(None, None, None)


def read_all(call: Opened) -> list[str]:
    with entering(call()) as stream:
        return [type(item).__name__ for item in stream]


def break_in_with(call: Opened) -> list[str]:
    with entering(call()) as stream:
        for item in stream:
            return [type(item).__name__]
    return []


def raise_in_with(call: Opened) -> None:
    with entering(call()) as stream:
        for _ in stream:
            raise AppError("the application's own")


def exit_in_with(call: Opened) -> None:
    with entering(call()) as stream:
        for _ in stream:
            raise SystemExit(3)


def interrupt_in_with(call: Opened) -> None:
    with entering(call()) as stream:
        for _ in stream:
            raise KeyboardInterrupt


def break_and_close(call: Opened) -> None:
    stream = begun(call)
    next(iter(stream))
    close(stream)


def close_unread(call: Opened) -> None:
    close(begun(call))


def close_the_response(call: Opened) -> None:
    stream = begun(call)
    next(iter(stream))
    call.http_response(stream).close()


def is_gone(stream: weakref.ref[Any]) -> bool:
    """True once nobody has the stream any more: a thread of the SDK's own may hold it for a moment."""
    gc.collect()
    return stream() is None


def break_and_drop(call: Opened) -> None:
    stream = begun(call)
    next(iter(stream))
    dropped = weakref.ref(stream)
    del stream
    deadline = time.monotonic() + DEADLINE
    while not is_gone(dropped) and time.monotonic() < deadline:
        time.sleep(0.001)


def never_read(call: Opened) -> None:
    stream = begun(call)
    del stream
    gc.collect()


def read_bytes(call: Opened) -> None:
    with entering(call()) as stream:
        call.http_response(stream).read()


def read_in_another_thread(call: Opened) -> list[str]:
    stream = begun(call)
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: [type(item).__name__ for item in stream]).result(DEADLINE)


def read_on_in_another_thread(call: Opened) -> list[str]:
    stream = begun(call)
    items = iter(stream)
    first = next(items)
    with ThreadPoolExecutor(1) as threads:
        rest = threads.submit(lambda: [*items]).result(DEADLINE)
    return [type(item).__name__ for item in (first, *rest)]


def close_in_another_thread(call: Opened) -> None:
    stream = begun(call)
    next(iter(stream))
    with ThreadPoolExecutor(1) as threads:
        threads.submit(close, stream).result(DEADLINE)


async def opened(call: Opened) -> Any:
    """An async stream, or the manager of one."""
    result = call()
    return await result if inspect.isawaitable(result) else result


async def aentering(call: Opened) -> AbstractAsyncContextManager[Any]:
    """It, for an `async with` block."""
    result = await opened(call)
    if hasattr(result, "__aenter__"):
        return result
    return _aclosing(result) if hasattr(result, "aclose") or hasattr(result, "close") else nullcontext(result)


@asynccontextmanager
async def _aclosing(stream: Any) -> AsyncIterator[Any]:
    try:
        yield stream
    finally:
        await aclose(stream)


async def abegun(call: Opened) -> Any:
    """One that nobody has closed."""
    result = await opened(call)
    return await result.__aenter__() if hasattr(result, "__aenter__") else result


async def aclose(stream: Any) -> None:
    """What an application does that has read enough."""
    for name in ("aclose", "close"):
        if hasattr(stream, name):
            closed = getattr(stream, name)()
            if inspect.isawaitable(closed):
                await closed
            return
    await stream.__aexit__(None, None, None)


async def aread_all(call: Opened) -> list[str]:
    async with await aentering(call) as stream:
        return [type(item).__name__ async for item in stream]


async def abreak_in_with(call: Opened) -> list[str]:
    async with await aentering(call) as stream:
        async for item in stream:
            return [type(item).__name__]
    return []


async def araise_in_with(call: Opened) -> None:
    async with await aentering(call) as stream:
        async for _ in stream:
            raise AppError("the application's own")


async def aexit_in_with(call: Opened) -> None:
    async with await aentering(call) as stream:
        async for _ in stream:
            raise SystemExit(3)


async def ainterrupt_in_with(call: Opened) -> None:
    async with await aentering(call) as stream:
        async for _ in stream:
            raise KeyboardInterrupt


async def abreak_and_close(call: Opened) -> None:
    stream = await abegun(call)
    await anext(aiter(stream))
    await aclose(stream)


async def aclose_unread(call: Opened) -> None:
    stream = await abegun(call)
    await aclose(stream)


async def aclose_the_response(call: Opened) -> None:
    stream = await abegun(call)
    await anext(aiter(stream))
    await call.http_response(stream).aclose()


async def abreak_and_drop(call: Opened) -> None:
    stream = await abegun(call)
    await anext(aiter(stream))
    dropped = weakref.ref(stream)
    del stream
    await until(lambda: is_gone(dropped))


async def anever_read(call: Opened) -> None:
    stream = await abegun(call)
    # Of aiohttp, the loop holds what is below until all of the answer has come.
    dropped = weakref.ref(getattr(stream, "_raw_stream", stream))
    del stream
    # Some SDKs do a part of a call in threads, which hold what they have returned for a while.
    await asyncio.get_running_loop().shutdown_default_executor()
    await until(lambda: is_gone(dropped))


async def aread_bytes(call: Opened) -> None:
    async with await aentering(call) as stream:
        await call.http_response(stream).aread()


async def aread_in_another_task(call: Opened) -> list[str]:
    """Made in one task, read in a second."""

    async def make() -> Any:
        return await abegun(call)

    async def read(stream: Any) -> list[str]:
        return [type(item).__name__ async for item in stream]

    stream = await asyncio.create_task(make())
    return await asyncio.create_task(read(stream))


async def aread_on_in_another_task(call: Opened) -> list[str]:
    """Made and begun in one task, read on in a second."""

    async def make() -> tuple[Any, Any]:
        items = aiter(await abegun(call))
        return items, await anext(items)

    async def read(items: Any) -> list[Any]:
        return [item async for item in items]

    items, first = await asyncio.create_task(make())
    rest = await asyncio.create_task(read(items))
    return [type(item).__name__ for item in (first, *rest)]


async def aclose_in_another_task(call: Opened) -> None:
    stream = await abegun(call)
    await anext(aiter(stream))
    await asyncio.create_task(aclose(stream))


async def until(when: Callable[[], bool]) -> None:
    """Lets the others run until `when` holds."""
    async with asyncio.timeout(DEADLINE):
        while not when():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


async def cancel(call: Opened, when: Callable[[], bool]) -> None:
    """The task that reads is cancelled as soon as `when` holds."""
    task = asyncio.ensure_future(aread_all(call))
    await until(when)
    task.cancel()
    await task


async def time_out(call: Opened, when: Callable[[], bool]) -> None:
    """The time for reading is over as soon as `when` holds."""
    async with asyncio.timeout(DEADLINE) as limit:

        async def expire() -> None:
            await until(when)
            limit.reschedule(0)

        expiring = asyncio.ensure_future(expire())
        try:
            await aread_all(call)
        finally:
            expiring.cancel()
