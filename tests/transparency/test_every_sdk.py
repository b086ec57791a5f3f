"""What the application gets from each SDK is what it would get without midspan."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.endings.reading import aentering, entering
from tests.fakes.sdk import Case, Opened
from tests.fakes.sdks import ANSWERS, ASYNC_ANSWERS, ASYNC_STREAMS, STREAMS, sdk_of
from tests.transparency.conftest import Both, Client
from tests.transparency.facts import pickled, response_facts, shape


def stream_facts(case: Case, stream: Any, client: Client) -> list[object]:
    """Of a stream when control returns, before anything is read."""
    return [
        shape(stream),
        client.wire.parts_read,
        [callable(getattr(stream, name, None)) for name in ("close", "__enter__", "__iter__", "__next__")],
        [callable(getattr(stream, name, None)) for name in ("aclose", "__aenter__", "__aiter__", "__anext__")],
        response_facts(sdk_of(case).http_response(stream)),
        type(pickled(stream)),
    ]


def answer_facts(case: Case, answer: Any, client: Client) -> list[object]:
    comparable = sdk_of(case).facts
    copied = pickled(answer)
    same = copied if isinstance(copied, type) else comparable(copied)
    return [shape(answer), comparable(answer), same, client.wire.parts_read]


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_an_answer_is_the_sdks_own_object(case: Case, both: Both) -> None:
    both.sdk = sdk_of(case)
    without, with_midspan = both(lambda client: answer_facts(case, case.call(client.sync, "ok"), client))
    assert without == with_midspan
    assert both.operations == 1


@pytest.mark.parametrize("case", ASYNC_ANSWERS, ids=str)
def test_an_async_answer_is_the_sdks_own_object(case: Case, both: Both) -> None:
    async def do(client: Client) -> object:
        awaitable = case.call(client.own, "ok")
        return type(awaitable), answer_facts(case, await awaitable, client)

    both.sdk = sdk_of(case)
    without, with_midspan = both.asynchronous(do)
    assert without == with_midspan
    assert both.operations == 1


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_is_the_sdks_own_object_and_nothing_of_it_is_read(case: Case, both: Both) -> None:
    def do(client: Client) -> object:
        with entering(case.call(client.sync, "ok")) as stream:
            facts = stream_facts(case, stream, client)
            items = [sdk_of(case).facts(item) for item in stream]
            return facts, items, response_facts(sdk_of(case).http_response(stream))

    both.sdk = sdk_of(case)
    without, with_midspan = both(do)
    assert without == with_midspan
    assert both.operations == 1


@pytest.mark.parametrize("case", ASYNC_STREAMS, ids=str)
def test_an_async_stream_is_the_sdks_own_object_and_nothing_of_it_is_read(case: Case, both: Both) -> None:
    async def do(client: Client) -> object:
        result = case.call(client.own, "ok")
        async with await aentering(Opened(lambda: result)) as stream:
            facts = stream_facts(case, stream, client)
            return inspect.isawaitable(result), facts, [sdk_of(case).facts(item) async for item in stream]

    both.sdk = sdk_of(case)
    without, with_midspan = both.asynchronous(do)
    assert without == with_midspan
    assert both.operations == 1


@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=lambda case: f"{case}{len(case.options)}")
def test_an_error_is_the_sdks_own(case: Case, both: Both) -> None:
    def do(client: Client) -> object:
        try:
            result = case.call(client.sync, "refused")
            with entering(result) as stream:
                next(iter(stream))
        except Exception as error:
            cause = type(error.__cause__), type(error.__context__)
            return shape(error), str(error), cause
        return None

    both.sdk = sdk_of(case)
    without, with_midspan = both(do)
    # Of requests that are sent at once, some are not sent any more when the first is refused: which, nobody knows.
    assert without[0] == with_midspan[0] if "batches" in case.name else without == with_midspan
    assert without[0] is not None, "it was not refused"
    assert both.operations == 1
