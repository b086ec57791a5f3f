"""How an application reads a stream, and stops reading it: each way sync and async."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fakes.openai_calls import Opened

DEADLINE = 20.0


class AppError(Exception):
    """The application's own failure, while it reads."""


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream, or of the SDK's own helper around one."""
    return getattr(stream, "_raw_stream", stream).response


def read_all(call: Opened) -> list[str]:
    with call() as stream:
        return [type(item).__name__ for item in stream]


def break_in_with(call: Opened) -> list[str]:
    with call() as stream:
        for item in stream:
            return [type(item).__name__]
    return []


def raise_in_with(call: Opened) -> None:
    with call() as stream:
        for _ in stream:
            raise AppError("the application's own")


def exit_in_with(call: Opened) -> None:
    with call() as stream:
        for _ in stream:
            raise SystemExit(3)


def interrupt_in_with(call: Opened) -> None:
    with call() as stream:
        for _ in stream:
            raise KeyboardInterrupt


def break_and_close(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    stream.close()


def close_unread(call: Opened) -> None:
    call().__enter__().close()


def close_the_response(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    http_response(stream).close()


def break_and_drop(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    del stream
    gc.collect()


def never_read(call: Opened) -> None:
    stream = call().__enter__()
    del stream
    gc.collect()


def read_bytes(call: Opened) -> None:
    with call() as stream:
        http_response(stream).read()


def read_in_another_thread(call: Opened) -> list[str]:
    stream = call().__enter__()
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: [type(item).__name__ for item in stream]).result(DEADLINE)


def read_on_in_another_thread(call: Opened) -> list[str]:
    stream = call().__enter__()
    items = iter(stream)
    first = next(items)
    with ThreadPoolExecutor(1) as threads:
        rest = threads.submit(lambda: [*items]).result(DEADLINE)
    return [type(item).__name__ for item in (first, *rest)]


def close_in_another_thread(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    with ThreadPoolExecutor(1) as threads:
        threads.submit(stream.close).result(DEADLINE)


async def opened(call: Opened) -> Any:
    """An async stream, or the manager of one: both are entered."""
    result = call()
    return await result if inspect.isawaitable(result) else result


async def aread_all(call: Opened) -> list[str]:
    async with await opened(call) as stream:
        return [type(item).__name__ async for item in stream]


async def abreak_in_with(call: Opened) -> list[str]:
    async with await opened(call) as stream:
        async for item in stream:
            return [type(item).__name__]
    return []


async def araise_in_with(call: Opened) -> None:
    async with await opened(call) as stream:
        async for _ in stream:
            raise AppError("the application's own")


async def aexit_in_with(call: Opened) -> None:
    async with await opened(call) as stream:
        async for _ in stream:
            raise SystemExit(3)


async def ainterrupt_in_with(call: Opened) -> None:
    async with await opened(call) as stream:
        async for _ in stream:
            raise KeyboardInterrupt


async def abreak_and_close(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    await stream.close()


async def aclose_unread(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await stream.close()


async def aclose_the_response(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    await http_response(stream).aclose()


async def abreak_and_drop(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    del stream
    gc.collect()


async def anever_read(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    del stream
    gc.collect()


async def aread_bytes(call: Opened) -> None:
    async with await opened(call) as stream:
        await http_response(stream).aread()


async def aread_in_another_task(call: Opened) -> list[str]:
    """Made in one task, read in a second."""

    async def make() -> Any:
        return await (await opened(call)).__aenter__()

    async def read(stream: Any) -> list[str]:
        return [type(item).__name__ async for item in stream]

    stream = await asyncio.create_task(make())
    return await asyncio.create_task(read(stream))


async def aread_on_in_another_task(call: Opened) -> list[str]:
    """Made and begun in one task, read on in a second."""

    async def make() -> tuple[Any, Any]:
        items = aiter(await (await opened(call)).__aenter__())
        return items, await anext(items)

    async def read(items: Any) -> list[Any]:
        return [item async for item in items]

    items, first = await asyncio.create_task(make())
    rest = await asyncio.create_task(read(items))
    return [type(item).__name__ for item in (first, *rest)]


async def aclose_in_another_task(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    await asyncio.create_task(stream.close())


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
