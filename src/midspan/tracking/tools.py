"""What `@progress` makes: a function that runs its generator to the end, and still can be driven step by step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any

from midspan.tracking.events import RESULT, ProgressEvent, Reporter
from midspan.tracking.run import Recipe, tracked
from midspan.tracking.tracker import get_progress_tracker

EVENTS = "__midspan_events__"


def as_tool(fn: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """`fn` as a plain (or coroutine) function if it is an (async) generator function; else `fn`, tracked."""
    if inspect.isasyncgenfunction(fn):
        return _async_tool(fn, tracked(reporting_async(fn), recipe))
    if inspect.isgeneratorfunction(fn):
        return _tool(fn, tracked(reporting(fn), recipe))
    return tracked(fn, recipe)


def events_of(fn: Callable[..., Any]) -> Callable[..., Any] | None:
    """The generator function of events behind a `@progress` function or method; None for any other callable."""
    events = getattr(fn, EVENTS, None)
    owner = getattr(fn, "__self__", None)
    return events if events is None or owner is None else functools.partial(events, owner)


def last_result(event: ProgressEvent, result: object) -> Any:
    """The result of an async generator so far: what it has yielded last under the key `result`."""
    return event.data.get(RESULT, result)


def _tool(fn: Callable[..., Any], events: Callable[..., Generator[ProgressEvent, None, Any]]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        steps = events(*args, **kwargs)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value

    setattr(call, EVENTS, events)
    return call


def _async_tool(fn: Callable[..., Any], events: Callable[..., AsyncGenerator[ProgressEvent]]) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        result = None
        async with aclosing(events(*args, **kwargs)) as steps:
            async for event in steps:
                result = last_result(event, result)
        return result

    setattr(call, EVENTS, events)
    return call


def reporting(fn: Callable[..., Generator[Any, None, Any]]) -> Callable[..., Generator[ProgressEvent, None, Any]]:
    """A generator function whose yields have been written to the current tracker, and are events."""

    def events(*args: Any, **kwargs: Any) -> Generator[ProgressEvent, None, Any]:
        report = Reporter(get_progress_tracker())
        with closing(fn(*args, **kwargs)) as steps:
            while True:
                try:
                    item = next(steps)
                except StopIteration as stop:
                    return stop.value
                yield report(item)

    return events


def reporting_async(fn: Callable[..., AsyncGenerator[Any]]) -> Callable[..., AsyncGenerator[ProgressEvent]]:
    """As `reporting`, for an async generator function."""

    async def events(*args: Any, **kwargs: Any) -> AsyncGenerator[ProgressEvent]:
        report = Reporter(get_progress_tracker())
        async with aclosing(fn(*args, **kwargs)) as steps:
            async for item in steps:
                yield report(item)

    return events
