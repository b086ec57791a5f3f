"""What OpenAI's SDK offers besides works as it would without midspan: helpers, raw responses, one-shot iterables."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.openai_calls import ANSWERS, MESSAGES, PROMPT, STREAMS, Case
from tests.transparency.conftest import Both, Client
from tests.transparency.facts import shape


def test_the_helpers_of_a_stream_work(both: Both) -> None:
    def do(client: Client) -> list[object]:
        seen: list[object] = []
        for case in STREAMS:
            with case.call(client.sync, "ok") as stream:
                for name in ("until_done", "get_final_completion", "get_final_response"):
                    helper = getattr(stream, name, None)
                    seen.append((name, told(helper() if helper else None)))
        return seen

    without, with_midspan = both(do)
    assert without == with_midspan
    assert both.operations == len(STREAMS)


def test_the_async_helpers_of_a_stream_work(both: Both) -> None:
    async def do(client: Client) -> list[object]:
        seen: list[object] = []
        for case in STREAMS:
            result = case.call(client.own, "ok")
            async with await result if hasattr(result, "__await__") else result as stream:
                for name in ("until_done", "get_final_completion", "get_final_response"):
                    helper = getattr(stream, name, None)
                    seen.append((name, told(await helper() if helper else None)))
        return seen

    without, with_midspan = both.asynchronous(do)
    assert without == with_midspan
    assert both.operations == len(STREAMS)


def told(result: Any) -> str:
    """What a helper gives; some give the stream itself."""
    return type(result).__name__ if hasattr(result, "close") else repr(result)


def plain(cases: tuple[Case, ...]) -> list[Case]:
    """Those with a raw form: `create`, not the helpers."""
    return [case for case in cases if case.name.endswith("create")]


def raw(case: Case, client: Any, kind: str) -> Callable[..., Any]:
    """`client.chat.completions.with_raw_response.create`, say."""
    owner: Any = client
    for name in case.method.split(".")[:-1]:
        owner = getattr(owner, name)
    return getattr(owner, kind).create


@pytest.mark.parametrize("case", [*plain(ANSWERS), *plain(STREAMS)], ids=lambda case: f"{case}{len(case.options)}")
def test_a_raw_response_has_headers_and_parses_once_and_twice(case: Case, both: Both) -> None:
    def do(client: Client) -> list[object]:
        response = raw(case, client.sync, "with_raw_response")(model="ok", **dict(case.options))
        first, read = response.parse(), client.wire.parts_read
        facts = [shape(response), response.headers.raw if hasattr(response.headers, "raw") else None, read]
        facts += [shape(first), first is response.parse(), response.http_response.is_closed]
        return [*facts, [*first] if case in STREAMS else first]

    without, with_midspan = both(do)
    assert without == with_midspan
    assert both.operations == 1


@pytest.mark.parametrize("case", [*plain(ANSWERS), *plain(STREAMS)], ids=lambda case: f"{case}{len(case.options)}")
def test_a_streaming_response_is_handed_over_unread_and_may_stay_so(case: Case, both: Both) -> None:
    def do(client: Client) -> list[object]:
        facts: list[object] = []
        create = raw(case, client.sync, "with_streaming_response")
        with create(model="ok", **dict(case.options)) as response:
            facts += [shape(response), client.wire.parts_read, response.http_response.is_closed]
        facts += [client.wire.parts_read, response.http_response.is_closed]
        with create(model="ok", **dict(case.options)) as response:
            facts += [[*response.iter_lines()]]
        with create(model="ok", **dict(case.options)) as response:
            facts += [repr([*response.parse()]) if case in STREAMS else response.parse()]
        return facts

    without, with_midspan = both(do)
    assert without == with_midspan
    assert both.operations == 3


@pytest.mark.parametrize("case", [*plain(ANSWERS), *plain(STREAMS)], ids=lambda case: f"{case}{len(case.options)}")
def test_async_raw_and_streaming_responses_are_as_they_were(case: Case, both: Both) -> None:
    async def do(client: Client) -> list[object]:
        response = await raw(case, client.own, "with_raw_response")(model="ok", **dict(case.options))
        facts: list[object] = [shape(response), client.wire.parts_read, shape(response.parse())]
        async with raw(case, client.own, "with_streaming_response")(model="ok", **dict(case.options)) as response:
            facts += [shape(response), client.wire.parts_read]
            parsed = await response.parse()
            facts.append(repr([item async for item in parsed]) if case in STREAMS else parsed)
        return facts

    without, with_midspan = both.asynchronous(do)
    assert without == with_midspan
    assert both.operations == 2


def test_the_callers_own_objects_are_unchanged(both: Both) -> None:
    given: dict[str, Any] = {
        "messages": copy.deepcopy(MESSAGES),
        "stop": ["a", "b"],
        "stream_options": {"include_usage": True},
        "extra_headers": {"x-own": "1"},
        "extra_body": {"more": {"a": 1}},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    }
    before = copy.deepcopy(given)

    def do(client: Client) -> object:
        return [*client.sync.chat.completions.create(model="ok", stream=True, **given)]

    without, with_midspan = both(do)
    assert without == with_midspan
    assert before == given


def once(items: list[Any]) -> Iterator[Any]:
    """Can be iterated once only."""
    yield from items


TOOLS: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
ONE_SHOT: list[Callable[[Any], object]] = [
    lambda c: c.chat.completions.create(model="ok", messages=once(MESSAGES), tools=once(TOOLS)),
    lambda c: [*c.chat.completions.create(model="ok", messages=once(MESSAGES), stream=True)],
    lambda c: c.chat.completions.create(model="ok", messages=({**m, "content": once([])} for m in MESSAGES)),
    lambda c: c.completions.create(model="ok", prompt=once([PROMPT])),
    lambda c: c.embeddings.create(model="ok", input=once([PROMPT]), encoding_format="float"),
    lambda c: c.responses.create(model="ok", input=once(MESSAGES), tools=once([])),
]


@pytest.mark.parametrize("number", range(len(ONE_SHOT)))
def test_one_shot_iterables_reach_the_server_and_every_byte_on_the_wire_is_the_same(number: int, both: Both) -> None:
    """What an SDK version cannot send, it cannot send with midspan either."""
    without, with_midspan = both(lambda client: ONE_SHOT[number](client.sync))
    assert without == with_midspan


def test_a_one_shot_iterable_is_sent_whole(both: Both) -> None:
    _, (_, wire) = both(lambda client: ONE_SHOT[1](client.sync))  # type: ignore[misc]
    assert b"Does it work?" in wire.requests[0][2]
