"""Every way in which a call can end, for every target of every provider, sync and async.

One operation, ended once, with the right status and reason, nothing left running, and the
application sees what it would have seen without midspan.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pydantic
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation, Status
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured, capture
from midspan.tracking.tracker import get_progress_registry, no_span
from tests.fakes.openai_server import FakeOpenAI

MESSAGES = [{"role": "user", "content": "Does it work?"}]
DEADLINE = 20.0
# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Opened = Callable[[], Any]
"""Makes the call, with its client and model bound."""


class Answer(pydantic.BaseModel):
    answer: str


class AppError(Exception):
    """The application's own failure, while it reads."""


@dataclass(frozen=True)
class Case:
    """A target as the application calls it; the same text for the sync and the async client."""

    provider: str
    name: str
    call: Callable[[Any, str], Any]

    def __str__(self) -> str:
        return f"{self.provider}.{self.name}"


STREAMS = (
    Case(
        "openai",
        "chat.create",
        lambda c, m: c.chat.completions.create(model=m, messages=MESSAGES, stream=True),
    ),
    Case(
        "openai",
        "chat.stream",
        lambda c, m: c.chat.completions.stream(model=m, messages=MESSAGES),
    ),
    Case(
        "openai",
        "responses.create",
        lambda c, m: c.responses.create(model=m, input="Does it work?", stream=True),
    ),
    Case(
        "openai",
        "responses.stream",
        lambda c, m: c.responses.stream(model=m, input="Does it work?"),
    ),
)

ANSWERS = (
    Case(
        "openai",
        "chat.create",
        lambda c, m: c.chat.completions.create(model=m, messages=MESSAGES),
    ),
    Case(
        "openai",
        "chat.parse",
        lambda c, m: c.chat.completions.parse(model=m, messages=MESSAGES, response_format=Answer),
    ),
    Case(
        "openai",
        "responses.create",
        lambda c, m: c.responses.create(model=m, input="Does it work?"),
    ),
    Case(
        "openai",
        "responses.parse",
        lambda c, m: c.responses.parse(model=m, input="Does it work?", text_format=Answer),
    ),
    Case(
        "openai",
        "embeddings.create",
        lambda c, m: c.embeddings.create(model=m, input="Does it work?"),
    ),
)

ALL = tuple(dict.fromkeys((*STREAMS, *ANSWERS)))


def test_the_matrix_has_every_provider() -> None:
    assert {case.provider for case in ALL} == set(instrumentation.PROVIDERS)


# How an application reads a stream, and stops reading it.


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


def break_and_close(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    stream.close()


def close_the_response(call: Opened) -> None:
    stream = call().__enter__()
    next(iter(stream))
    getattr(stream, "_raw_stream", stream).response.close()


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
        getattr(stream, "_raw_stream", stream).response.read()


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


async def abreak_and_close(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    await stream.close()


async def aclose_the_response(call: Opened) -> None:
    stream = await (await opened(call)).__aenter__()
    await anext(aiter(stream))
    await getattr(stream, "_raw_stream", stream).response.aclose()


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
        await getattr(stream, "_raw_stream", stream).response.aread()


async def cancel(call: Opened, when: Callable[[], bool]) -> None:
    """The application's task is cancelled as soon as `when` holds."""
    await cancel_task(asyncio.ensure_future(aread_all(call)), when)


async def cancel_task(task: asyncio.Future[Any], when: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not when():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)
    task.cancel()
    await task


@dataclass(frozen=True)
class Ending:
    """How a stream is ended: by what the application does, and by what the server does."""

    name: str
    model: str
    read: Callable[[Opened], object]
    aread: Callable[[Opened], Awaitable[object]]
    status: Status
    reason: str | None = None

    def __str__(self) -> str:
        return self.name


CANCELLED, COMPLETED, FAILED = Status.CANCELLED, Status.COMPLETED, Status.FAILED
ENDINGS = (
    Ending("exhausted", "ok", read_all, aread_all, COMPLETED),
    Ending("cut at the token limit", "limited", read_all, aread_all, COMPLETED),
    Ending("read as bytes", "ok", read_bytes, aread_bytes, COMPLETED),
    Ending("break in with", "ok", break_in_with, abreak_in_with, CANCELLED, "closed early"),
    Ending("raise in with", "ok", raise_in_with, araise_in_with, CANCELLED, "closed early"),
    Ending("break, close", "ok", break_and_close, abreak_and_close, CANCELLED, "closed early"),
    Ending("response closed", "ok", close_the_response, aclose_the_response, CANCELLED, "closed early"),
    Ending("break, drop", "ok", break_and_drop, abreak_and_drop, CANCELLED, "dropped"),
    Ending("never read, drop", "ok", never_read, anever_read, CANCELLED, "dropped"),
    Ending("provider error", "refused", read_all, aread_all, FAILED),
    Ending("connection lost", "cut", read_all, aread_all, FAILED),
)


# What the application sees, and what midspan has seen.


@contextmanager
def instrumented() -> Iterator[Seen]:
    """The instrumentation is on, and spans are made."""
    seen = Seen()
    registry = get_progress_registry()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen.exporter))
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    instrumentation.apply()
    try:
        with capture() as seen.captured:
            yield seen
    finally:
        instrumentation.undo()
        registry.attach = no_span
        registry.remove_processor(recorder)
        provider.shutdown()


class Seen:
    """What midspan has seen: operations, and spans that have ended."""

    captured: Captured

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def the_only_operation(self) -> Operation:
        """Nothing is running any more, and the one operation has one span."""
        operations = self.captured.operations
        assert len(operations) == 1
        assert get_progress_registry().running() == []
        spans = self.exporter.get_finished_spans()
        assert [operations[0].span_id] == [format_span_id(span.context.span_id) for span in spans]
        failed = operations[0].status is Status.FAILED
        assert failed == (spans[0].status.status_code is StatusCode.ERROR)
        return operations[0]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def seen(read: Callable[[], object]) -> object:
    """The result, or the exception by type and message."""
    try:
        return read()
    except (Exception, asyncio.CancelledError) as error:
        return type(error), str(error)


def sync_run(case: Case, model: str, read: Callable[[Opened], object], url: str) -> object:
    with ExitStack() as stack:
        http = openai.DefaultHttpxClient(verify=NO_TLS)
        client = stack.enter_context(openai.OpenAI(api_key="x", base_url=url, max_retries=0, http_client=http))
        return seen(lambda: read(lambda: case.call(client, model)))


def async_run(case: Case, model: str, read: Callable[[Opened], Awaitable[object]], url: str) -> object:
    async def run() -> object:
        async with AsyncExitStack() as stack:
            http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
            client = await stack.enter_async_context(
                openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0, http_client=http)
            )
            return await read(lambda: case.call(client, model))

    return seen(lambda: asyncio.run(run()))


def check(ending: Ending, operation: Operation, outcome: object) -> None:
    assert (ending.status, ending.reason) == (operation.status, operation.status_reason)
    assert [event.type for event in operation.history].count("end") == 1
    if ending.status is FAILED:
        check_error(operation, outcome)


def check_error(operation: Operation, outcome: Any) -> None:
    """The operation failed with the exception that the application got."""
    kind, message = outcome
    assert operation.error is not None
    assert operation.error.type == f"{kind.__module__}.{kind.__qualname__}"
    assert operation.error.message == message


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_ends_once_and_rightly(case: Case, ending: Ending, server: FakeOpenAI) -> None:
    expected = sync_run(case, ending.model, ending.read, server.base_url)
    with instrumented() as midspan:
        assert expected == sync_run(case, ending.model, ending.read, server.base_url)
        check(ending, midspan.the_only_operation(), expected)


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_an_async_stream_ends_once_and_rightly(case: Case, ending: Ending, server: FakeOpenAI) -> None:
    expected = async_run(case, ending.model, ending.aread, server.base_url)
    with instrumented() as midspan:
        assert expected == async_run(case, ending.model, ending.aread, server.base_url)
        check(ending, midspan.the_only_operation(), expected)


@pytest.mark.parametrize("model", ["silent", "hanging"])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_cancelled_task_ends_its_stream_as_cancelled(case: Case, model: str, server: FakeOpenAI) -> None:
    """`silent`: cancelled while it waits for the headers; `hanging`: in mid-stream."""
    with instrumented() as midspan:

        def is_waiting() -> bool:
            operations = midspan.captured.operations
            stage = "sending_request" if model == "silent" else "streaming_response"
            return bool(operations) and operations[0].stage == stage

        outcome = async_run(case, model, lambda call: cancel(call, is_waiting), server.base_url)
        operation = midspan.the_only_operation()
        assert (asyncio.CancelledError, "") == outcome
        assert (operation.status, operation.status_reason) == (Status.CANCELLED, "task cancelled")


async def aget(call: Opened) -> str:
    return type(await call()).__name__


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("model", "status"), [("ok", COMPLETED), ("refused", FAILED), ("cut", FAILED)])
@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_an_unstreamed_call_ends_once_and_rightly(
    case: Case, model: str, status: Status, is_async: bool, server: FakeOpenAI
) -> None:
    def run() -> object:
        if is_async:
            return async_run(case, model, aget, server.base_url)
        return sync_run(case, model, lambda call: type(call()).__name__, server.base_url)

    expected = run()
    with instrumented() as midspan:
        assert expected == run()
        operation = midspan.the_only_operation()
    assert status == operation.status
    if status is FAILED:
        check_error(operation, expected)


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_cancelled_task_ends_its_call_as_cancelled(case: Case, server: FakeOpenAI) -> None:
    async def cancel_call(call: Opened) -> None:
        await cancel_task(asyncio.ensure_future(call()), lambda: bool(midspan.captured.operations))

    with instrumented() as midspan:
        outcome = async_run(case, "silent", cancel_call, server.base_url)
        operation = midspan.the_only_operation()
        assert (asyncio.CancelledError, "") == outcome
        assert (operation.status, operation.status_reason) == (Status.CANCELLED, "task cancelled")
