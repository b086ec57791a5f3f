"""One function that may be started by name: what it takes, and what runs it to its result."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

from midspan.tracking.events import ProgressEvent
from midspan.tracking.parameters import Parameters
from midspan.tracking.tools import EVENTS, last_result, reporting, reporting_async
from midspan.tracking.tracker import get_progress_tracker


@dataclass(frozen=True, slots=True)
class Task:
    """A function that may be started by name; `body` runs it to its result, as a coroutine where `is_async`."""

    name: str
    function: Callable[..., Any]
    body: Callable[..., Any]
    is_async: bool
    parameters: Parameters
    options: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> Task:
        """Raises TypeError for a function whose parameters cannot be given by name."""
        # Of a `@progress` function the generator inside: the operation is the task's own.
        plain: Callable[..., Any] = function.__wrapped__ if hasattr(function, EVENTS) else function  # type: ignore[attr-defined]
        return cls(name, function, *body_of(plain), Parameters(function), options)

    def describe(self) -> dict[str, Any]:
        """Plain values: name, description, the JSON schema of its arguments, and how it can be cancelled."""
        return {
            "name": self.name,
            "description": inspect.getdoc(self.function),
            "parameters": self.parameters.schema(),
            "cancel": "native" if self.is_async else "cooperative",
        }


def body_of(fn: Callable[..., Any]) -> tuple[Callable[..., Any], bool]:
    """What runs `fn` to its result, a generator too; and whether that is a coroutine function."""
    if inspect.isasyncgenfunction(fn):
        return _driven_async(reporting_async(fn)), True
    if inspect.isgeneratorfunction(fn):
        return _driven(reporting(fn)), False
    return fn, inspect.iscoroutinefunction(fn)


def _driven(events: Callable[..., Generator[ProgressEvent, None, Any]]) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        tracker = get_progress_tracker()
        with closing(events(**arguments)) as steps:
            while not tracker.cancel_requested:
                try:
                    next(steps)
                except StopIteration as stop:
                    return stop.value
        raise asyncio.CancelledError

    return call


def _driven_async(events: Callable[..., AsyncGenerator[ProgressEvent]]) -> Callable[..., Any]:
    async def call(**arguments: Any) -> Any:
        result = None
        async with aclosing(events(**arguments)) as steps:
            async for event in steps:
                result = last_result(event, result)
                # A generator that awaits nothing would keep the loop for itself.
                await asyncio.sleep(0)
        return result

    return call
