"""A background response that is streamed, and what midspan has seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import http
from tests.fakes.openai_jobs import FIRST_WORD, FakeJobs, Streamed, background, events

EVENTS = len(events())
HALF = FIRST_WORD + 2
"""Before this event, two of the three words have come."""
CREATED: Any = {"model": "gpt-5", "input": "x", "background": True}
JOB = "resp_1"
LOST = openai.APIConnectionError, http.ReadError
"""Before its third major version the SDK lets the HTTP library's own exception through."""


def answering() -> FakeJobs:
    """The response is made in the background; asked for by its id, it is streamed."""
    jobs = FakeJobs().tell("POST", "/responses", background("queued"))
    jobs.tell("POST", f"/responses/{JOB}/cancel", background("cancelled"))
    return jobs.tell("GET", f"/responses/{JOB}", Streamed(events()))


def only(seen: Captured) -> Operation:
    """The only one, now."""
    get_progress_registry().pulse(get_progress_registry().clock())
    (operation,) = seen.operations
    return operation


def counted(operation: Operation) -> tuple[int | None, int | None, bool | None]:
    """Its chunks, its output tokens, and whether these are an estimate."""
    tokens = operation.tokens
    return operation.chunks, tokens and tokens.output, tokens and tokens.estimated


def tokens_in_the_metrics() -> int:
    """Output tokens of all operations that have ended."""
    (series,) = get_progress_registry().statistics.series()
    return series.tokens["output"]


def error_of(operation: Operation) -> str | None:
    """The type of its error."""
    return None if operation.error is None else operation.error.type


def endings(operation: Operation) -> int:
    """How many it has had."""
    return [event.type for event in operation.history].count("end")


def read(stream: Any, until: int = EVENTS) -> Any:
    """So many events are read, and the stream is left as it is."""
    for _ in range(until):
        next(stream)
    return stream


def break_half(client: Any) -> None:
    """Half of the stream is read in a `with`."""
    with client.responses.retrieve(JOB, stream=True) as stream:
        read(stream, HALF)


async def cancel(client: openai.AsyncOpenAI, call: Callable[[], Any], events_read: int) -> None:
    """Its task is cancelled while it waits for one more event."""
    reached = asyncio.Event()

    async def run() -> None:
        stream: Any = await call()
        count = 0
        async for _ in stream:
            count += 1
            if count == events_read:
                reached.set()

    task = asyncio.ensure_future(run())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
