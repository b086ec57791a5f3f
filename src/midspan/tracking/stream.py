"""`ProgressStream`: the progress of one call as something to iterate, then its result."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any, Generic, TypeVar, cast

from midspan.core.operation import OperationType
from midspan.tracking.events import ProgressEvent
from midspan.tracking.run import Recipe
from midspan.tracking.tools import as_tool, events_of, last_result
from midspan.tracking.tracker import get_progress_registry
from midspan.tracking.worker import Worker

R = TypeVar("R")

_Steps = Callable[[], Generator[ProgressEvent, None, Any] | AsyncGenerator[ProgressEvent, None]]


class ProgressStream(Generic[R]):
    """Iterate (`for` or `async for`) the `ProgressEvent`s of `fn(*args, **kwargs)`, then read `.result` (seed S4-08).

    A `@progress` function, or any generator function, is driven in the caller's thread, and each of its yields is an
    event. Any other callable runs in a worker thread with a copy of the caller's context (a coroutine function under
    `async for`: as a task of the running loop), and the events are the newest states of every operation that runs under
    it. What the call raises is raised from the iteration, unchanged, and again from `.result`. Leaving the loop early
    closes a generator and requests the cancellation of anything else. It can be iterated once.
    """

    def __init__(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> None:
        if not callable(fn):
            raise TypeError(f"ProgressStream needs a callable, not {type(fn).__name__}")
        events = events_of(_with_events(fn))
        self._call: Callable[[], Any] = functools.partial(fn, *args, **kwargs)
        self._events = None if events is None else cast(_Steps, functools.partial(events, *args, **kwargs))
        self._is_coroutine = inspect.iscoroutinefunction(fn)
        self._worker: Worker | None = None
        self._begun = self._ended = False
        self._value: Any = None
        self._error: BaseException | None = None

    @property
    def result(self) -> R:
        """What the call has returned; before any iteration this runs it to its end (seed S4-09).

        Raises what the call raised, and RuntimeError where its generator has not been driven to the end.
        """
        if not self._begun:
            for _ in self:
                pass
        if self._worker is not None and not self._ended:
            self._worker.join()
            self._take_over(self._worker)
        if self._error is not None:
            raise self._error
        if not self._ended:
            raise RuntimeError("the stream was not iterated to its end, so there is no result")
        return self._value

    def __iter__(self) -> Iterator[ProgressEvent]:
        if self._begun:
            return
        self._begun = True
        if self._events is None:
            yield from self._watch()
        else:
            steps = self._events()
            yield from self._kept(_in_own_loop(steps) if isinstance(steps, AsyncGenerator) else steps)

    async def __aiter__(self) -> AsyncIterator[ProgressEvent]:
        if self._begun:
            return
        self._begun = True
        async with aclosing(self._events_async()) as events:
            async for event in events:
                yield event

    def _events_async(self) -> AsyncGenerator[ProgressEvent]:
        if self._events is None:
            return self._watch_async()
        steps = self._events()
        return self._kept_async(steps) if isinstance(steps, AsyncGenerator) else _yielding(self._kept(steps))

    # --- generators ---------------------------------------------------------------------------

    def _kept(self, steps: Generator[ProgressEvent, None, Any]) -> Generator[ProgressEvent]:
        """The generator's events; its result, or what it raises, is kept."""
        try:
            self._value = yield from steps
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            raise
        self._ended = True

    async def _kept_async(self, steps: AsyncGenerator[ProgressEvent]) -> AsyncGenerator[ProgressEvent]:
        try:
            async with aclosing(steps):
                async for event in steps:
                    self._value = last_result(event, self._value)
                    yield event
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            raise
        self._ended = True

    # --- other callables ----------------------------------------------------------------------

    def _watch(self) -> Generator[ProgressEvent]:
        worker = self._worker = Worker(self._call, get_progress_registry())
        worker.start_thread()
        try:
            while not worker.changes.closed:
                yield from map(ProgressEvent.of, worker.changes.wait())
            yield from map(ProgressEvent.of, worker.changes.take())
        except BaseException:
            worker.cancel()
            raise
        worker.join()
        self._take_over(worker)
        if self._error is not None:
            raise self._error

    async def _watch_async(self) -> AsyncGenerator[ProgressEvent]:
        worker = self._worker = Worker(self._call, get_progress_registry())
        worker.start_task() if self._is_coroutine else worker.start_thread()
        try:
            while not worker.changes.closed:
                for operation in await worker.changes.wait_async():
                    yield ProgressEvent.of(operation)
            for operation in worker.changes.take():
                yield ProgressEvent.of(operation)
        except BaseException:
            await worker.cancelled()
            raise
        self._take_over(worker)
        if self._error is not None:
            raise self._error

    def _take_over(self, worker: Worker) -> None:
        self._value, self._error, self._ended = worker.value, worker.error, True


def _with_events(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A bare generator function gets what `@progress` would have given it."""
    if events_of(fn) is None and (inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)):
        return as_tool(fn, Recipe(OperationType.TOOL, getattr(fn, "__name__", "generator")))
    return fn


def _in_own_loop(steps: AsyncGenerator[ProgressEvent]) -> Generator[ProgressEvent, None, Any]:
    """An async generator driven step by step from code that is not async; its value is the last result."""
    result: Any = None
    with asyncio.Runner() as runner:
        while (event := runner.run(_next(steps))) is not None:
            result = last_result(event, result)
            yield event
    return result


async def _next(steps: AsyncGenerator[ProgressEvent]) -> ProgressEvent | None:
    return await anext(steps, None)


async def _yielding(events: Generator[ProgressEvent]) -> AsyncGenerator[ProgressEvent]:
    """The events of a sync generator, between which other tasks may run."""
    with closing(events):
        for event in events:
            yield event
            await asyncio.sleep(0)
