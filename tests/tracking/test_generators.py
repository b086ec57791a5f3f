"""Decorated generators behave exactly like undecorated ones, and their operation ends with them."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from midspan.models import Status
from midspan.tracking.decorators import track_progress
from midspan.tracking.tracker import ProgressTracker, get_progress_registry, get_progress_tracker

Log = list[object]


def echo(log: Log) -> Generator[Any, Any, str]:
    """Yields what it is sent, survives ValueError, and writes down what happens to it."""
    value: object = "first"
    try:
        while value != "stop":
            try:
                value = yield value
            except ValueError as error:
                value = f"caught {error}"
        return "result"
    except BaseException as error:
        log.append(type(error))
        raise
    finally:
        log.append("finally")


def stubborn(log: Log) -> Generator[Any, Any, str]:
    """Answers a close with another value."""
    try:
        yield 1
    except GeneratorExit:
        log.append("ignored")
        yield 2
    return "never"


def quiet(log: Log) -> Generator[Any, Any, str]:
    """Returns when it is closed."""
    try:
        yield 1
    except GeneratorExit:
        log.append("returned")
    return "closed"


Step = tuple[str, Any]
SCRIPTS: list[list[Step]] = [
    [("send", None), ("send", 1), ("send", "stop"), ("send", 1)],
    [("send", None), ("throw", ValueError("x")), ("send", "stop")],
    [("send", None), ("throw", KeyError("x")), ("send", 1)],
    [("send", None), ("throw", StopIteration("x"))],
    [("send", None), ("throw", GeneratorExit()), ("send", 1)],
    [("send", None), ("close", None), ("send", 1)],
    [("close", None), ("send", None)],
    [("send", "too early"), ("send", None)],
    [("throw", KeyError("before the start")), ("send", None)],
]


def play(generator: Any, script: list[Step]) -> list[object]:
    """What each step gives: a value, or the exception's type and arguments."""
    seen: list[object] = []
    for method, value in script:
        try:
            seen.append(generator.close() if method == "close" else getattr(generator, method)(value))
        except BaseException as error:
            seen.append((type(error), error.args))
    for _ in range(2):  # a stubborn one has to be told twice
        with suppress(RuntimeError):
            generator.close()
    return seen


@pytest.mark.parametrize("function", [echo, stubborn, quiet])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: "-".join(step for step, _ in script))
def test_send_throw_close_and_return_are_those_of_the_undecorated(
    function: Callable[[Log], Any], script: list[Step]
) -> None:
    bare_log: Log = []
    log: Log = []
    bare = play(function(bare_log), script)
    assert play(track_progress(function)(log), script) == bare
    assert log == bare_log


def test_yield_from_gets_the_return_value() -> None:
    def outer() -> Generator[Any, Any, Any]:
        return (yield from track_progress(echo)([]))

    generator = outer()
    next(generator)
    with pytest.raises(StopIteration) as stop:
        generator.send("stop")
    assert stop.value.value == "result"


@track_progress(total_steps=3)
def counting() -> Iterator[int]:
    for number in range(3):
        get_progress_tracker().update(number + 1)
        yield number


@track_progress
async def counting_async() -> AsyncGenerator[int, Any]:
    for number in range(3):
        await asyncio.sleep(0)
        get_progress_tracker().update(progress=number / 3)
        yield number


def statuses() -> list[tuple[Status, str | None]]:
    return [(o.status, o.status_reason) for o in get_progress_registry().operations()]


def test_the_kinds_of_function_are_kept() -> None:
    assert inspect.isgeneratorfunction(counting)
    assert inspect.isasyncgenfunction(counting_async)


def test_an_exhausted_generator_completes() -> None:
    assert list(counting()) == [0, 1, 2]
    assert statuses() == [(Status.COMPLETED, None)]


def test_a_generator_that_was_never_begun_is_no_operation() -> None:
    counting()
    assert statuses() == []


def test_a_closed_generator_is_cancelled() -> None:
    generator = counting()
    next(generator)
    generator.close()
    assert statuses() == [(Status.CANCELLED, "closed early")]


def test_a_dropped_generator_in_a_cycle_is_cancelled_by_the_collector() -> None:
    generator = counting()
    next(generator)
    cycle: list[object] = [generator]
    cycle.append(cycle)
    del generator, cycle
    gc.collect()
    assert statuses() == [(Status.CANCELLED, "closed early")]


def test_being_collected_takes_no_lock_of_ours() -> None:
    """As in the collector: the locks of the registry and of the operation are held by this very thread."""
    registry = get_progress_registry()
    generator = counting()
    next(generator)
    (state,) = registry.running()
    with registry._lock, state.lock:
        del generator
        gc.collect()
    assert statuses() == [(Status.CANCELLED, "closed early")]


def test_a_raising_generator_fails_and_raises_the_same_exception() -> None:
    error = OSError("disk")

    @track_progress
    def work() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(OSError, match="disk") as caught:
        list(work())
    assert caught.value is error
    assert statuses() == [(Status.FAILED, None)]


def test_a_thrown_exception_leaves_no_cycle_behind() -> None:
    class WatchedError(Exception):
        pass

    def throw_into_one() -> weakref.ref[WatchedError] | None:
        generator = track_progress(echo)([])
        next(generator)
        try:
            generator.throw(WatchedError())
        except WatchedError as error:
            return weakref.ref(error)
        return None

    gc.disable()
    try:
        thrown = throw_into_one()
        assert thrown is not None
        assert thrown() is None
    finally:
        gc.enable()


def test_the_tracker_does_not_leak_into_the_consumer() -> None:
    with ProgressTracker("consumer") as consumer:
        for _ in counting():
            assert get_progress_tracker() is consumer


def test_interleaved_generators_do_not_mix() -> None:
    @track_progress
    def named() -> Iterator[str]:
        for _ in range(3):
            yield get_progress_tracker().operation_id

    seen = list(zip(named(), named(), strict=True))
    assert len(set(seen)) == 1
    assert seen[0][0] != seen[0][1]


def test_cleanup_code_still_sees_its_tracker() -> None:
    seen: list[bool] = []

    @track_progress
    def work() -> Iterator[None]:
        mine = get_progress_tracker()
        try:
            yield
        finally:
            seen.append(get_progress_tracker() is mine)

    generator = work()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    assert seen == [True]


# --- async --------------------------------------------------------------------------------------


def test_an_exhausted_async_generator_completes() -> None:
    async def main() -> list[int]:
        return [number async for number in counting_async()]

    assert asyncio.run(main()) == [0, 1, 2]
    assert statuses() == [(Status.COMPLETED, None)]


def test_a_closed_async_generator_is_cancelled() -> None:
    async def main() -> None:
        generator = counting_async()
        await anext(generator)
        await generator.aclose()

    asyncio.run(main())
    assert statuses() == [(Status.CANCELLED, "closed early")]


def test_asend_and_athrow_reach_the_generator() -> None:
    @track_progress
    async def work() -> AsyncGenerator[object, object]:
        got: object = None
        while True:
            try:
                got = yield got
            except KeyError as error:
                got = error.args

    async def main() -> list[object]:
        generator = work()
        seen = [await generator.asend(None), await generator.asend(1), await generator.athrow(KeyError("k"))]
        await generator.aclose()
        return seen

    assert asyncio.run(main()) == [None, 1, ("k",)]


def test_a_task_cancelled_inside_an_async_generator_cancels_its_operation() -> None:
    @track_progress
    async def work() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in work():
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert statuses() == [(Status.CANCELLED, "task cancelled")]


def test_the_tracker_does_not_leak_into_the_async_consumer() -> None:
    async def main() -> None:
        with ProgressTracker("consumer") as consumer:
            async for _ in counting_async():
                assert get_progress_tracker() is consumer

    asyncio.run(main())
