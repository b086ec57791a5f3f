"""What the Anthropic readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import anthropic
import pytest

from midspan.core.operation import Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan_instrumentation._body import _StandIn
from midspan_instrumentation.provider import Piece, Reading, Usage
from midspan_instrumentation.providers import _claude as readers
from midspan_instrumentation.providers import _claude_content as content_readers
from tests.fakes.anthropic_calls import ANSWERS, SDK, STREAMS, http, open_async_client
from tests.fakes.anthropic_server import FakeAnthropic
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import fixtures_of, said, the_operation

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]
ASKED: Any = {"model": "ok", "messages": MESSAGES, "max_tokens": 64}


def offers(name: str) -> pytest.MarkDecorator:
    known = any(case.name == name for case in (*STREAMS, *ANSWERS))
    return pytest.mark.skipif(not known, reason=f"this version of the SDK has no {name}")


server, client = fixtures_of(SDK)


def test_a_request_is_read_without_its_content(
    client: anthropic.Anthropic, states: list[State], server: FakeAnthropic
) -> None:
    client.messages.create(**ASKED, stop_sequences=["END"], timeout=12.5, system=CANARY)
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stop_sequences": ("END",),
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("end_turn",),
    }
    assert states[0].stall_after == 12.5


def test_what_only_older_versions_can_be_asked_is_read() -> None:
    assert readers.read_request(temperature=0.5, top_p=1, top_k=40).attributes == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.top_k": 40,
    }


def test_an_answers_form_and_effort_are_read() -> None:
    schema = {"type": "json_schema", "schema": {}}
    attributes = readers.read_request(output_config={"effort": "high", "format": schema}).attributes
    assert attributes == {"gen_ai.request.reasoning.level": "high", "gen_ai.output.type": "json"}
    assert readers.read_request(output_format=dict).attributes == {"gen_ai.output.type": "json"}


@pytest.mark.parametrize("method", ["create", "stream"])
def test_a_stream_is_counted_and_usage_includes_what_came_from_the_cache(
    method: str, client: anthropic.Anthropic, seen: Captured, states: list[State]
) -> None:
    asked: Any = {**ASKED, "model": "limited", **({"stream": True} if method == "create" else {})}
    with getattr(client.messages, method)(**asked) as stream:
        list(stream)
    operation = the_operation(seen)
    assert operation.tokens is not None
    tokens = operation.tokens
    assert (tokens.input, tokens.output, tokens.cached, tokens.reasoning) == (7, 3, 2, 1)
    attributes = said(states[0])
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.model"] == "limited-0001"
    assert attributes["gen_ai.response.finish_reasons"] == ("max_tokens",)


def test_thinking_is_progress(client: anthropic.Anthropic, seen: Captured, server: FakeAnthropic) -> None:
    counted: list[int] = []
    stream = client.messages.create(**ASKED, stream=True, extra_body={"thinking": {"type": "adaptive"}})
    for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "thinking_delta":
            counted.append(seen._states[0].counts.tokens)  # type: ignore[union-attr]
    assert counted == [1]


def test_the_last_event_completes_the_operation_before_another_is_asked_for(
    client: anthropic.Anthropic, seen: Captured
) -> None:
    stream = client.messages.create(**ASKED, stream=True)
    for event in stream:
        if event.type == "message_stop":
            assert the_operation(seen).status == Status.COMPLETED
            break
    else:
        pytest.fail("no last event")
    stream.close()
    assert the_operation(seen).status == Status.COMPLETED


def test_an_error_in_a_stream_fails_as_the_sdk_raises_it(client: anthropic.Anthropic, seen: Captured) -> None:
    with (
        pytest.raises(anthropic.APIStatusError) as raised,
        client.messages.stream(**{**ASKED, "model": "failing"}) as s,
    ):
        list(s)
    operation = the_operation(seen)
    kind = type(raised.value)
    assert operation.error is not None
    assert (operation.status, operation.error.type) == (Status.FAILED, f"{kind.__module__}.{kind.__qualname__}")
    assert "overloaded_error" in (operation.error.message or "")


def test_a_manager_that_is_never_entered_is_no_operation(client: anthropic.Anthropic, seen: Captured) -> None:
    client.messages.stream(**ASKED)
    assert seen.operations == []


def test_a_manager_entered_twice_is_two_operations(client: anthropic.Anthropic, seen: Captured) -> None:
    manager = client.messages.stream(**ASKED)
    for _ in range(2):
        with manager as stream:
            stream.until_done()
    assert [operation.status for operation in seen.operations] == [Status.COMPLETED, Status.COMPLETED]


def test_an_async_helper_for_the_text_alone_is_seen(server: FakeAnthropic, seen: Captured) -> None:
    async def run() -> str:
        async with open_async_client(server.base_url) as client, client.messages.stream(**ASKED) as stream:
            return "".join([text async for text in stream.text_stream])

    assert asyncio.run(run()) == "".join(CONTENT)
    assert the_operation(seen).status == Status.COMPLETED


def test_counting_tokens_is_no_operation(client: anthropic.Anthropic, seen: Captured) -> None:
    if not hasattr(client.messages, "count_tokens"):
        pytest.skip("this version of the SDK has no count_tokens")
    assert client.messages.count_tokens(model="ok", messages=MESSAGES).input_tokens == 7
    assert seen.operations == []


@offers("beta.messages.parse")
def test_each_turn_of_a_tool_runner_is_a_call_of_its_own(client: anthropic.Anthropic, seen: Captured) -> None:
    options: Any = {**ASKED, "tools": [], "thread": False}
    try:
        runner = client.beta.messages.tool_runner(**options)
    except TypeError:
        del options["thread"]
        runner = client.beta.messages.tool_runner(**options)
    assert len(list(runner)) == 1
    assert the_operation(seen).status == Status.COMPLETED


def test_a_raw_response_is_read_and_its_stream_is_watched_when_it_is_parsed(
    client: anthropic.Anthropic, seen: Captured
) -> None:
    raw = client.messages.with_raw_response
    raw.create(**ASKED)
    list(raw.create(**ASKED, stream=True).parse())
    whole, streamed = seen.operations
    assert whole.tokens is not None
    assert whole.tokens.output == 3
    assert (streamed.status, streamed.chunks) == (Status.COMPLETED, 8)


def test_odd_events_reach_the_application_and_are_counted(client: anthropic.Anthropic, seen: Captured) -> None:
    chunks = list(client.messages.create(**{**ASKED, "model": "odd"}, stream=True))
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(chunks))


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"type": "message_delta", "delta": None, "usage": None}, Reading()),
        ({"type": "message_delta", "usage": {"output_tokens": "3"}}, Reading(usage=Usage())),
        ({"type": "message_start", "message": None}, 0),
        ({"type": "content_block_delta"}, 1),
        ({"type": 5}, 0),
        ({}, 0),
    ],
    ids=str,
)
def test_odd_events_are_read_as_far_as_they_go(event: Any, found: int | Reading) -> None:
    assert readers.read_event(SimpleNamespace(**event)) == found  # type: ignore[arg-type]


def test_no_content_is_kept_anywhere(client: anthropic.Anthropic, seen: Captured, states: list[State]) -> None:
    list(client.messages.create(**ASKED, stream=True, system=CANARY))
    client.messages.create(**ASKED, metadata={"user_id": CANARY})
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**{**ASKED, "model": "echoing"})
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert not any(part in kept for part in CONTENT[:2])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.usefixtures("capturing")
def test_content_is_kept_where_the_application_asks_for_it(
    stream: bool, client: anthropic.Anthropic, states: list[State], seen: Captured
) -> None:
    tools: Any = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}]
    answer: Any = client.messages.create(**ASKED, system="Be brief.", tools=tools, stream=stream)
    if stream:
        list(answer)
    content = states[0].content
    assert content is not None
    prompt, answered = content.prompt, content.answer()
    assert [dict(part) for part in prompt.instructions] == [{"type": "text", "content": "Be brief."}]
    assert prompt.messages[0]["parts"] == [{"type": "text", "content": CANARY}]
    assert prompt.tools[0]["name"] == "look"
    assert "".join(CONTENT) in repr(answered)


TOOL = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "it"}}


def test_the_parts_of_a_conversation_are_told_apart() -> None:
    asked = [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, TOOL]}]
    answered = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}]}]
    prompt = content_readers.read_prompt(messages=[*asked, *answered])
    assert [part for each in prompt.messages for part in each["parts"]] == [
        {"type": "reasoning", "content": "Hm."},
        {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"at": "it"}},
        {"type": "tool_call_response", "id": "t1", "response": "seen"},
    ]


def test_the_blocks_of_an_answer_are_told_apart() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}, TOOL]
    assert list(content_readers.read_answer(SimpleNamespace(content=blocks))) == [
        Piece("Hm.", "reasoning", key=0),
        Piece("Yes.", key=1),
        Piece('{"at": "it"}', "tool_call", key=2, id="t1", name="look"),
    ]


def test_the_deltas_of_a_stream_are_told_apart() -> None:
    def delta(**fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 1, "delta": fields}

    started = {"type": "content_block_start", "index": 1, "content_block": {**TOOL, "input": {}}}
    events = (
        delta(type="thinking_delta", thinking="Hm."),
        delta(type="text_delta", text="Yes."),
        started,
        delta(type="input_json_delta", partial_json='{"at"'),
        delta(type="signature_delta", signature="s"),
        {"type": "ping"},
    )
    assert [piece for event in events for piece in content_readers.read_pieces(event)] == [
        Piece("Hm.", "reasoning", key=1),
        Piece("Yes.", key=1),
        Piece("", "tool_call", key=1, id="t1", name="look"),
        Piece('{"at"', "tool_call", key=1),
    ]


@pytest.mark.parametrize(
    ("module", "provider"),
    [
        ("anthropic.lib.bedrock._client", "aws.bedrock"),
        ("anthropic.lib.vertex._client", "gcp.vertex_ai"),
        ("anthropic._client", "anthropic"),
    ],
)
def test_the_clients_for_other_clouds_name_their_provider(
    module: str, provider: str, server: FakeAnthropic, seen: Captured
) -> None:
    """Their own clients need those clouds' libraries: what is looked at is where their class comes from."""
    kind = type("Client", (anthropic.Anthropic,), {"__module__": module})
    with kind(api_key="x", base_url=server.base_url, http_client=http.Client()) as client:
        client.messages.create(**ASKED)
    assert the_operation(seen).provider == provider


def test_what_the_sdk_asks_the_body_for_at_each_chunk_is_asked_of_the_real_body_once(
    client: anthropic.Anthropic, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look through costs more than all else that is done for a chunk."""
    asked: list[str] = []
    look = _StandIn.__getattr__
    monkeypatch.setattr(_StandIn, "__getattr__", lambda body, name: asked.append(name) or look(body, name))
    stream = client.messages.create(**ASKED, stream=True)
    next(stream)
    asked.clear()
    list(stream)
    assert "stream_observer" not in asked
