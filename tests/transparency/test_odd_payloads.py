"""What services that speak the protocol send besides.

Each payload is given to each target; the application gets, or is refused, what it would be without midspan, and the
operation ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.core import failures
from midspan.testing import capture
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import ANSWERS, STREAMS, Case, http
from tests.fakes.sdk import Reply, transport

ERROR = {"error": {"message": "overloaded", "type": "server_error", "code": 502}}

BODIES: tuple[Any, ...] = (
    {},
    None,
    [],
    "a text",
    5,
    ERROR,
    {"error": "a text"},
    {**ERROR, "choices": None, "id": None},
    {"choices": None},
    {"choices": []},
    {"choices": [None]},
    {"choices": [{}]},
    {"choices": "a text"},
    {"choices": [{"finish_reason": 5, "message": None, "index": None}]},
    {"choices": [{"finish_reason": "stop", "message": {"content": None, "tool_calls": None}}]},
    {"choices": [{"message": {"content": "a", "tool_calls": [{"function": {"arguments": None}}]}}]},
    {"choices": [{"index": 2}, {"index": 0}, {"index": 1}]},
    {"choices": [], "usage": None},
    {"choices": [], "usage": {}},
    {"choices": [], "usage": 5},
    {"choices": [], "usage": {"prompt_tokens": "7", "completion_tokens": None, "completion_tokens_details": None}},
    {"choices": [], "usage": {"prompt_tokens": 1e999, "completion_tokens": -3, "total_tokens": True}},
    {"choices": [], "usage": {"completion_tokens_details": "a text", "prompt_tokens_details": {"cached_tokens": []}}},
    {"id": 5, "model": None, "choices": [], "extra": {"a": [1]}},
    {"output": None, "status": None, "incomplete_details": "a text"},
    {"output": [{"type": "of the future"}], "status": "of the future", "usage": {"input_tokens": None}},
    {"output": [], "status": "failed", "error": {"code": None, "message": None}},
    {"output": [], "status": "failed", "error": "a text"},
    {"data": None},
    {"data": [{"embedding": None}], "usage": {"prompt_tokens": None}},
)
"""Answers with status 200; an error may be in one."""


def choice(delta: Any, reason: Any = None, index: Any = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason, "text": None}]}


def tool(**fields: Any) -> dict[str, Any]:
    return choice({"tool_calls": [fields]})


CHUNKS: tuple[tuple[Any, ...], ...] = (
    (),
    ({},),
    (None,),
    ([],),
    ("a text",),
    (5,),
    ({"choices": []}, choice({"content": "a"})),
    ({"choices": None},),
    ({"choices": [None]},),
    ({"choices": [{}]},),
    ({"choices": "a text"},),
    (choice(None), choice({"content": None}), choice({}, "stop")),
    (choice("a text"), choice({"content": 5}), choice({"content": ["a"]})),
    (tool(index=None, function=None), tool(function={"arguments": None}), tool(index=7, function={"arguments": "{"})),
    (tool(index=0, id="a", function={"name": "f", "arguments": ""}), tool(index=3, id="b"), tool(index=1)),
    (choice({"tool_calls": None}), choice({"tool_calls": [None]}), choice({"tool_calls": []})),
    (choice({"content": "c"}, index=2), choice({"content": "a"}), choice({"content": "b"}, index=1)),
    (choice({}, "stop", 2), choice({}, "stop", 0), choice({}, "stop", 0), choice({"content": "late"}, index=1)),
    (choice({"content": "a"}, index=None), choice({"content": "a"}, index="0"), choice({"content": "a"}, 5)),
    (choice({"content": "a"}, "stop"), {"choices": [], "usage": None}),
    ({"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": "3"}}, {"usage": 5}, {"usage": []}),
    ({**choice({"content": "a"}), "usage": {"completion_tokens": 1}}, {**choice({}), "usage": {}}),
    (choice({"content": "a", "reasoning_content": None, "extra": {"a": 1}}), {"id": 5, "model": None, "extra": []}),
    (choice({"content": "a"}), ERROR, choice({"content": "never"})),
    ({"error": "a text"},),
    ({"error": None, **choice({"content": "a"})},),
    ({"type": None}, {"type": "of the future", "delta": None}, {"type": "response.output_text.delta"}),
    ({"type": "response.created", "response": None}, {"type": "response.completed", "response": None}),
    ({"type": "response.created", "response": {}}, {"type": "response.completed", "response": {"usage": None}}),
    ({"type": "response.completed", "response": {"status": 5, "usage": {"input_tokens": "7"}, "error": 5}},),
    ({"type": "response.failed", "response": {"error": None}}, {"type": "response.failed"}),
    ({"type": "error", "code": None, "message": None}, {"type": "error", "error": {"message": "overloaded"}}),
    ({"type": 5}, {"type": ["a"]}),
)
"""Streams, event by event; each comes with the end mark and without."""


def as_events(chunks: tuple[Any, ...], end: str) -> bytes:
    return ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end).encode()


STREAMED = tuple(as_events(chunks, end) for chunks in CHUNKS for end in ("data: [DONE]\n\n", ""))


def answering(content: bytes, kind: str) -> Any:
    return transport(http, lambda *_: Reply(200, kind, [content]))


def outcome(do: Callable[[], object]) -> str:
    """What the application gets."""
    try:
        return repr(do())
    except Exception as error:
        return f"{type(error)}: {error}"


OPTIONS: Any = {"api_key": "x", "base_url": "http://model.example/v1", "max_retries": 0}


def sync_outcome(case: Case, transport: Any) -> str:
    client = openai.OpenAI(**OPTIONS, http_client=http.Client(transport=transport))

    def read() -> object:
        if case not in STREAMS:
            return case.call(client, "ok")
        with case.call(client, "ok") as stream:
            return list(stream)

    return outcome(read)


def async_outcome(case: Case, transport: Any) -> str:
    client = openai.AsyncOpenAI(**OPTIONS, http_client=http.AsyncClient(transport=transport))

    async def read() -> object:
        result = case.call(client, "ok")
        if case not in STREAMS:
            return await result
        async with await result if hasattr(result, "__await__") else result as stream:
            return [item async for item in stream]

    return outcome(lambda: asyncio.run(read()))


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("outcome_of", [sync_outcome, async_outcome], ids=["sync", "async"])
@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=lambda case: f"{case}{len(case.options)}")
def test_an_odd_payload_reaches_the_application_as_it_would_and_the_operation_ends(
    case: Case, outcome_of: Callable[[Case, Any], str]
) -> None:
    if case in STREAMS:
        transports = [answering(content, "text/event-stream") for content in STREAMED]
    else:
        transports = [answering(json.dumps(body).encode(), "application/json") for body in BODIES]
    expected = [outcome_of(case, transport) for transport in transports]
    instrumentation.apply()
    try:
        with capture() as captured:
            seen = [outcome_of(case, transport) for transport in transports]
    finally:
        instrumentation.undo()
    assert expected == seen
    assert len(captured.operations) == len(transports)
    assert get_progress_registry().running() == []
    assert failures.counts() == {}
