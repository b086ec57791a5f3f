"""Answers that are plain generators: one operation each, from the call to its ending, and the same items."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import pytest

from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.generator_sdk import PROVIDER, Client, Refused
from tests.fakes.openai_calls import MESSAGES
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.instrumentation.seen import the_ended, wrapped

GIVEN: Any = {"messages": MESSAGES, "stream": True}
Call = Callable[..., Any]


@pytest.fixture
def sdk(server: FakeOpenAI) -> Client:
    return Client(server.base_url)


@pytest.fixture
def seen() -> Iterator[Captured]:
    """The SDK's targets are wrapped, and so is the transport."""
    with wrapped(PROVIDER) as captured:
        yield captured


def told(operation: Operation) -> tuple[Any, ...]:
    return operation.status, operation.status_reason, operation.chunks


def stages(operation: Operation) -> list[str | None]:
    return [event.stage for event in operation.history if event.type == "stage"]


def text_of(chunks: list[Any]) -> str:
    return "".join(getattr(chunk.choices[0].delta, "content", "") for chunk in chunks)


STREAMED = [
    "connecting_to_model", "sending_request", "waiting_first_chunk", "streaming_response", "processing_response",
]  # fmt: skip


@pytest.mark.parametrize("name", ["chat", "ask"])
def test_a_generator_is_followed_to_its_end(name: str, sdk: Client, seen: Captured) -> None:
    answer = getattr(sdk, name)(model="ok", **GIVEN)
    assert type(answer) is GeneratorType
    assert text_of(list(answer)) == "".join(CONTENT)
    operation = the_ended(seen)
    assert told(operation) == ("completed", None, 5)
    assert stages(operation) == STREAMED
    assert operation.bytes


def test_what_is_no_generator_is_answered_as_ever(sdk: Client, seen: Captured) -> None:
    assert sdk.ask(model="ok", messages=MESSAGES).choices[0].message.content == "".join(CONTENT)
    assert told(the_ended(seen)) == ("completed", None, None)


async def iterated(sdk: Client, name: str, model: str = "ok") -> list[Any]:
    answer = getattr(sdk, name)(model=model, **GIVEN)
    answer = await answer if inspect.isawaitable(answer) else answer
    assert type(answer) is AsyncGeneratorType
    return [chunk async for chunk in answer]


@pytest.mark.parametrize("name", ["achat", "open"])
def test_an_asynchronous_generator_is_followed_to_its_end(name: str, sdk: Client, seen: Captured) -> None:
    assert text_of(asyncio.run(iterated(sdk, name))) == "".join(CONTENT)
    operation = the_ended(seen)
    assert told(operation) == ("completed", None, 5)
    assert stages(operation) == STREAMED


def test_what_the_generator_raises_is_raised_and_told(sdk: Client, seen: Captured) -> None:
    with pytest.raises(Refused, match="status 400"):
        list(sdk.chat(model="refused", **GIVEN))
    with pytest.raises(Refused, match="status 400"):
        asyncio.run(iterated(sdk, "achat", "refused"))
    assert [each.status for each in seen.operations] == ["failed", "failed"]
    assert get_progress_registry().running() == []


def test_a_generator_that_is_closed_early_is_closed_inside_too(sdk: Client, seen: Captured) -> None:
    answer: Any = sdk.chat(model="ok", **GIVEN)
    next(answer)
    answer.close()
    assert told(the_ended(seen)) == ("cancelled", "closed early", 1)
    with pytest.raises(StopIteration):
        next(answer)


def test_an_asynchronous_one_is_closed_when_its_aclose_returns(sdk: Client, seen: Captured) -> None:
    async def run() -> Any:
        answer: Any = sdk.achat(model="ok", **GIVEN)
        await anext(answer)
        await answer.aclose()
        return told(seen.operations[0])

    assert asyncio.run(run()) == ("cancelled", "closed early", 1)


@pytest.mark.parametrize(
    ("around", "reason"), [(KeyboardInterrupt, "interrupted"), (SystemExit, "SystemExit"), (ValueError, "closed early")]
)
def test_what_it_is_closed_for_is_told(around: type[BaseException], reason: str, sdk: Client, seen: Captured) -> None:
    answer: Any = sdk.chat(model="ok", **GIVEN)
    with pytest.raises(around), closing(answer):
        raise around

    async def run() -> None:
        own: Any = sdk.achat(model="ok", **GIVEN)
        async with aclosing(own):
            await anext(own)
            raise around

    with pytest.raises(around):
        asyncio.run(run())
    assert [each.status_reason for each in seen.operations] == [reason, reason]


def test_one_whose_answer_is_complete_is_completed_by_closing_it(sdk: Client, seen: Captured) -> None:
    answer: Any = sdk.chat(model="ok", **GIVEN)
    for _ in range(5):
        next(answer)
    answer.close()
    assert told(the_ended(seen)) == ("completed", None, 5)


def test_an_asynchronous_one_that_is_made_where_no_loop_runs_is_read_in_one(sdk: Client, seen: Captured) -> None:
    answer: Any = sdk.achat(model="ok", **GIVEN)

    async def run() -> list[Any]:
        return [chunk async for chunk in answer]

    assert text_of(asyncio.run(run())) == "".join(CONTENT)
    assert told(the_ended(seen)) == ("completed", None, 5)


def test_one_that_the_loop_closes_at_its_end_is_dropped(sdk: Client, seen: Captured) -> None:
    kept: list[Any] = []

    async def run() -> None:
        kept.append(sdk.achat(model="ok", **GIVEN))
        await anext(kept[0])

    asyncio.run(run())
    get_progress_registry().reap()
    assert told(the_ended(seen)) == ("cancelled", "dropped", 1)


def test_one_that_is_never_begun_or_dropped_in_the_middle_ends(sdk: Client, seen: Captured, server: FakeOpenAI) -> None:
    before = len(server.requests)
    sdk.chat(model="ok", **GIVEN)
    gc.collect()
    assert len(server.requests) == before
    begun: Any = sdk.chat(model="ok", **GIVEN)
    next(begun)
    del begun
    gc.collect()
    cycle: list[Any] = [sdk.chat(model="ok", **GIVEN)]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert len(get_progress_registry().running()) == 1  # it is not ended in the collector
    get_progress_registry().reap()
    assert [told(each)[:2] for each in seen.operations] == [("cancelled", "dropped")] * 3


def test_a_failure_of_ours_leaves_the_generator_to_the_application(
    sdk: Client, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from midspan.core import failures
    from midspan_instrumentation import _call

    def fail(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(_call, "sending", fail)
    assert text_of(list(sdk.chat(model="ok", **GIVEN))) == "".join(CONTENT)
    assert failures.counts()["stream"] == 1


@pytest.mark.usefixtures("capturing")
def test_its_content_is_kept_where_that_is_asked_for(sdk: Client, seen: Captured) -> None:
    list(sdk.chat(model="ok", **GIVEN))
    assert the_ended(seen).result == "".join(CONTENT)
