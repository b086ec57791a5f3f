"""An SDK that is built on another: one operation for what both do, seen where the application sees it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from midspan.core import failures
from midspan.core.operation import Operation, Status
from midspan.testing import Captured
from midspan_instrumentation import _covering
from tests.endings.reading import until
from tests.fakes import covering_sdk as sdk
from tests.fakes.openai_calls import async_client, sync_client
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.instrumentation.seen import the_ended, wrapped

COMPLETED, FAILED, CANCELLED = Status.COMPLETED, Status.FAILED, Status.CANCELLED


@pytest.fixture
def seen() -> Iterator[Captured]:
    """Both SDKs are wrapped, and so is the transport."""
    with wrapped(sdk.PROVIDER) as captured:
        yield captured


@pytest.fixture
def client(server: FakeOpenAI) -> Iterator[openai.OpenAI]:
    with sync_client(server.base_url) as client:
        yield client


def the_operation(seen: Captured) -> Operation:
    operation = the_ended(seen)
    assert (operation.provider, operation.name) == ("theirs", "chat")
    return operation


def told(operation: Operation) -> tuple[Any, ...]:
    return operation.status, operation.status_reason, operation.attempt


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_what_the_sdk_below_is_asked_in_turn_are_attempts_of_one_operation(
    client: openai.OpenAI, seen: Captured
) -> None:
    assert sdk.ask("refused,ok", client=client).choices[0].message.content == "".join(CONTENT)
    operation = the_operation(seen)
    assert told(operation) == (COMPLETED, None, 2)
    assert operation.model == "refused,ok"
    assert operation.tokens is not None
    assert operation.tokens.output == 3


def test_an_attempt_in_a_loop_of_another_thread_is_one_of_that_operation(client: openai.OpenAI, seen: Captured) -> None:
    sdk.ask_in_a_thread("refused,ok", client=client)
    assert told(the_operation(seen)) == (COMPLETED, None, 2)


@pytest.mark.parametrize("inside", [False, True], ids=["a class", "a class made in the call"])
def test_a_stream_that_goes_on_with_another_model_is_one_operation(
    inside: bool, client: openai.OpenAI, seen: Captured
) -> None:
    chunks = list(sdk.ask("cut,ok", client=client, stream=True, inside=inside))
    assert text_of(chunks).endswith("".join(CONTENT))
    operation = the_operation(seen)
    assert told(operation) == (COMPLETED, None, 2)
    assert operation.chunks == len(chunks)
    assert operation.tokens is not None
    assert (operation.tokens.output, operation.tokens.estimated) == (5, True)


def test_an_error_is_the_one_that_the_application_gets(client: openai.OpenAI, seen: Captured) -> None:
    with pytest.raises(sdk.NobodyAnswers):
        list(sdk.ask("refused,refused", client=client, stream=True))
    operation = the_operation(seen)
    assert told(operation) == (FAILED, None, 2)
    assert operation.error is not None
    assert operation.error.type == f"{sdk.__name__}.NobodyAnswers"


def test_a_stream_closed_early_is_cancelled(client: openai.OpenAI, seen: Captured) -> None:
    stream = sdk.ask("ok", client=client, stream=True)
    next(stream)
    stream.close()
    assert told(the_operation(seen)) == (CANCELLED, "closed early", 1)


@pytest.mark.parametrize("begun", [False, True], ids=["never read", "begun"])
def test_a_dropped_stream_is_cancelled_without_the_collector(
    begun: bool, client: openai.OpenAI, seen: Captured
) -> None:
    gc.disable()
    try:
        stream = sdk.ask("ok", client=client, stream=True)
        if begun:
            next(stream)
        del stream
        assert told(the_operation(seen))[:2] == (CANCELLED, "dropped")
    finally:
        gc.enable()


def test_a_stream_is_still_of_its_class_and_can_be_asked_after_its_end(client: openai.OpenAI, seen: Captured) -> None:
    stream = sdk.ask("ok", client=client, stream=True)
    assert isinstance(stream, sdk.Stream)
    assert (type(stream).__name__, repr(stream)[:45]) == ("Stream", repr(sdk.Stream(iter(())))[:45])
    list(stream)
    assert list(stream) == []
    assert the_operation(seen).status is COMPLETED


def test_async_streams_are_seen_alike(server: FakeOpenAI, seen: Captured) -> None:
    async def read(models: str, *, is_closed: bool = False) -> str:
        async with async_client(server.base_url) as client:
            stream = await sdk.aask(models, client=client, stream=True)
            if is_closed:
                await anext(stream)
                await stream.aclose()
            return text_of([chunk async for chunk in stream])

    assert asyncio.run(read("ok")) == "".join(CONTENT)
    with pytest.raises(sdk.NobodyAnswers):
        asyncio.run(read("refused"))
    assert asyncio.run(read("ok", is_closed=True)) == ""
    endings = [(each.status, each.status_reason) for each in seen.operations]
    assert endings == [(COMPLETED, None), (FAILED, None), (CANCELLED, "closed early")]


def test_a_cancelled_task_cancels_its_stream(server: FakeOpenAI, seen: Captured) -> None:
    async def read() -> None:
        async with async_client(server.base_url) as client:
            async for _ in await sdk.aask("hanging", client=client, stream=True):
                pass

    async def main() -> None:
        task = asyncio.ensure_future(read())
        await until(lambda: [each.stage for each in seen.operations] == ["streaming_response"])
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert told(the_operation(seen))[:2] == (CANCELLED, "task cancelled")


def test_a_call_of_a_task_that_outlives_its_operation_is_an_operation_of_its_own(
    server: FakeOpenAI, seen: Captured
) -> None:
    async def main() -> None:
        async with async_client(server.base_url) as client:
            later: list[asyncio.Task[Any]] = []
            answer = client.chat.completions.create

            async def create(**asked: Any) -> Any:
                result = await answer(**asked)
                later.append(asyncio.create_task(answer(model="ok", messages=asked["messages"])))
                return result

            client.chat.completions.create = create  # type: ignore[method-assign]
            await sdk.aask("ok", client=client)
            await later[0]

    asyncio.run(main())
    assert [(each.provider, each.status) for each in seen.operations] == [("theirs", COMPLETED), ("openai", COMPLETED)]


@pytest.mark.parametrize("failing", ["begin", "_complete"])
def test_a_failure_of_the_watch_does_not_reach_the_application(
    failing: str, client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("midspan's own")

    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(_covering.CoveringWatch, failing, fail)
    assert text_of(list(sdk.ask("ok", client=client, stream=True))) == "".join(CONTENT)
    assert set(failures.counts()) == {"stream"}


def test_a_reader_that_fails_is_not_asked_again(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    stream = sdk.ask("ok", client=client, stream=True)
    calls: list[object] = []

    def fail(chunk: object) -> int:
        calls.append(chunk)
        raise RuntimeError("a changed SDK")

    stream.midspan_watch._read = fail
    assert text_of(list(stream)) == "".join(CONTENT)
    assert len(calls) == 1
    assert failures.counts() == {"chunk reader": 1}


def test_the_classes_that_are_kept_are_limited(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_covering, "MAX_CLASSES", 2)
    monkeypatch.setattr(_covering, "_classes", {})
    made = [type(f"Stream{number}", (sdk.Stream,), {"__qualname__": f"Stream{number}"}) for number in range(4)]
    for kind in made:
        assert issubclass(_covering._watched_class(kind), kind)
    assert len(_covering._classes) == 2
