"""What the readers of Google's SDK read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
import gc
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from midspan.core.content import NO_CAPTURE, Capture, Content
from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation.provider import Reading, Server, Usage
from midspan_instrumentation.providers import _gemini, _gemini_interactions
from midspan_instrumentation.providers.google_genai import PROVIDER
from tests.endings.reading import until
from tests.fakes.google_genai_calls import HAS_INTERACTIONS, NO_TLS, SDK, async_client, made, sync_client
from tests.fakes.google_genai_server import FakeGemini
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import fixtures_of, said, the_operation

CANARY = "canary-7f3a"


server, client = fixtures_of(SDK)


def weather(city: str) -> str:
    """What it is like there."""
    return f"sunny in {city}"


CONFIG: Any = {
    "temperature": 0.5,
    "top_p": 1,
    "top_k": 40,
    "frequency_penalty": 0.25,
    "presence_penalty": 0.75,
    "seed": 11,
    "stop_sequences": ["END"],
    "candidate_count": 2,
    "max_output_tokens": 64,
    "response_mime_type": "application/json",
    "system_instruction": CANARY,
    "http_options": {"timeout": 12_500},
}


@pytest.mark.parametrize("config", [CONFIG, types.GenerateContentConfig(**CONFIG)], ids=["dict", "class"])
def test_a_request_is_read_without_its_content(
    config: Any, client: genai.Client, states: list[State], server: FakeGemini
) -> None:
    list(client.models.generate_content_stream(model="ok", contents=CANARY, config=config))
    assert said(states[0]) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "ok",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": 0.75,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "answer-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop", "stop"),
    }


def test_a_call_stalls_at_its_own_timeout(client: genai.Client, states: list[State]) -> None:
    client.models.generate_content(model="ok", contents="x", config=CONFIG)
    assert states[0].stall_after == 12.5


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_output_and_what_tools_have_answered_is_input(
    stream: bool, client: genai.Client, seen: Captured
) -> None:
    if stream:
        list(client.models.generate_content_stream(model="ok", contents="x"))
    else:
        client.models.generate_content(model="ok", contents="x")
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.reasoning, tokens.cached) == (7, 3, 1, 2)
    assert not tokens.estimated


def test_embeddings_are_an_operation_type_of_their_own(client: genai.Client, seen: Captured) -> None:
    client.models.embed_content(model="ok", contents=CANARY, config={"output_dimensionality": 2})
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name) == ("embedding", "embeddings")
    attributes = said(seen._states[0])
    assert attributes["gen_ai.embeddings.dimension.count"] == 2


def test_vertex_has_a_name_of_its_own_and_makes_images(server: FakeGemini, seen: Captured) -> None:
    with genai.Client(vertexai=True, api_key="x", http_options=options_of(made(server.base_url))) as client:
        client.models.generate_content(model="ok", contents="x")
        client.models._generate_images(model="ok", prompt=CANARY)
    assert [(each.provider, each.operation_type) for each in seen.operations] == [
        ("gcp.vertex_ai", "llm_request"),
        ("gcp.vertex_ai", "image"),
    ]


def options_of(client: genai.Client) -> Any:
    return client._api_client._http_options


def test_no_content_is_kept_anywhere(client: genai.Client, seen: Captured, states: list[State]) -> None:
    list(client.models.generate_content_stream(model="parrot", contents=CANARY))
    client.models.generate_content(model="parrot", contents=CANARY, config={"system_instruction": CANARY})
    with pytest.raises(errors.ClientError):
        client.models.generate_content(model="echoing", contents=CANARY)
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept


def test_an_error_inside_a_stream_fails_as_the_sdk_raises_it(client: genai.Client, seen: Captured) -> None:
    with pytest.raises(errors.ServerError, match="overloaded"):
        list(client.models.generate_content_stream(model="failing", contents="x"))
    operation = the_operation(seen)
    expected = ErrorInfo(type="google.genai.errors.ServerError", message="503 UNAVAILABLE")
    assert (operation.status, operation.error) == (Status.FAILED, expected)


def test_an_answer_cut_at_its_limit_is_completed_with_the_reason(
    client: genai.Client, seen: Captured, states: list[State]
) -> None:
    list(client.models.generate_content_stream(model="limited", contents="x"))
    assert the_operation(seen).status == Status.COMPLETED
    assert said(states[0])["gen_ai.response.finish_reasons"] == ("max_tokens",)


def test_odd_chunks_reach_the_application_and_are_counted(client: genai.Client, seen: Captured) -> None:
    # Older releases look into each chunk for functions to call, and expect a candidate there.
    config: Any = {"automatic_function_calling": {"disable": True}}
    chunks = list(client.models.generate_content_stream(model="odd", contents="x", config=config))
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(chunks))
    assert operation.tokens is not None
    assert operation.tokens.input == 7


def test_each_request_of_a_chat_that_calls_functions_is_an_operation(client: genai.Client, seen: Captured) -> None:
    chat = client.chats.create(model="ok", config=types.GenerateContentConfig(tools=[weather]))
    assert chat.send_message("Oslo?").text == "".join(CONTENT)
    assert [(each.status, each.attempt) for each in seen.operations] == [(Status.COMPLETED, 1)] * 2
    assert [chunk.text for chunk in chat.send_message_stream("And now?")][:3] == [*CONTENT]
    assert len(seen.operations) == 3
    assert seen.operations[2].chunks == len(CONTENT) + 1


def test_each_request_of_an_async_chat_that_calls_functions_is_an_operation(server: FakeGemini, seen: Captured) -> None:
    async def run() -> str | None:
        async with async_client(server.base_url) as client:
            chat = client.chats.create(model="ok", config=types.GenerateContentConfig(tools=[weather]))
            return (await chat.send_message("Oslo?")).text

    assert asyncio.run(run()) == "".join(CONTENT)
    assert [each.status for each in seen.operations] == [Status.COMPLETED] * 2


@pytest.mark.skipif(find_spec("aiohttp") is None, reason="aiohttp is not installed: the SDK goes over httpx")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_over_aiohttp_a_stream_is_seen_as_over_httpx(server: FakeGemini, seen: Captured) -> None:
    async def run() -> list[str | None]:
        client = genai.Client(
            api_key="x", http_options={"base_url": server.base_url, "client_args": {"verify": NO_TLS}}
        )
        async with client.aio as own:
            return [each.text async for each in await own.models.generate_content_stream(model="ok", contents="x")]

    assert asyncio.run(run())[:3] == [*CONTENT]
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(CONTENT) + 1)
    assert operation.bytes
    assert "waiting_first_chunk" in [event.stage for event in operation.history]


left = pytest.mark.parametrize("how", ["closed", "dropped"])


def the_ending(seen: Captured) -> tuple[Status, str | None, int]:
    gc.collect()
    get_progress_registry().reap()
    operation = the_operation(seen)
    return operation.status, operation.status_reason, operation.chunks


@left
def test_a_stream_of_a_chat_that_is_left_early_is_cancelled(how: str, client: genai.Client, seen: Captured) -> None:
    stream: Any = client.chats.create(model="ok").send_message_stream("x")
    next(stream)
    if how == "closed":
        stream.close()
    del stream
    assert the_ending(seen) == (Status.CANCELLED, "dropped", 1)


@left
def test_an_async_stream_of_a_chat_that_is_left_early_is_cancelled(
    how: str, server: FakeGemini, seen: Captured
) -> None:
    async def run() -> None:
        async with async_client(server.base_url) as client:
            stream: Any = await client.chats.create(model="ok").send_message_stream("x")
            await anext(stream)
            if how == "closed":
                await stream.aclose()
            del stream
            # The loop closes what was inside, one after another.
            await until(lambda: the_ending(seen)[0] is not Status.RUNNING)

    asyncio.run(run())
    assert the_ending(seen) == (Status.CANCELLED, "dropped", 1)


def test_a_stream_that_is_not_begun_is_no_request_and_no_operation(
    client: genai.Client, seen: Captured, server: FakeGemini
) -> None:
    before = len(server.requests)
    with closing(client.models.generate_content_stream(model="ok", contents="x")):  # type: ignore[arg-type]
        assert len(server.requests) == before
    assert seen.operations == []


def test_a_disabled_client_is_not_seen_and_others_are(client: genai.Client, server: FakeGemini, seen: Captured) -> None:
    disable(client)
    client.models.generate_content(model="ok", contents="x")
    list(client.chats.create(model="ok").send_message_stream("x"))
    assert seen.operations == []
    with sync_client(server.base_url) as other:
        other.models.generate_content(model="ok", contents="x")
    assert len(seen.operations) == 1


def test_an_instance_without_a_client_has_an_unknown_server() -> None:
    assert PROVIDER.read_server(object()) == Server()
    assert PROVIDER.read_client(object()) is None


def test_every_async_target_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.startswith("Async") for name in declared}


def candidate(*texts: str, reason: str | None = None) -> dict[str, Any]:
    return {"content": {"parts": [{"text": text} for text in texts]}, "finish_reason": reason}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0),
        ({"candidates": []}, 0),
        ({"candidates": [{"content": None}]}, 0),
        ({"candidates": [{"content": {"parts": None}}]}, 0),
        ({"candidates": [candidate("a")]}, 1),
        ({"candidates": [candidate("twelve chars")]}, 3),
        ({"candidates": [candidate("twelve chars", "four")]}, 4),
        ({"candidates": [candidate("a"), candidate("b")]}, 2),
        ({"candidates": [candidate("a")], "usage_metadata": {"prompt_token_count": 7}}, 1),
        ({"candidates": [candidate("a", reason="SAFETY")]}, Reading(tokens=1, finish_reasons=("safety",))),
        ({"prompt_feedback": {"block_reason": "BLOCKLIST"}}, Reading(finish_reasons=("blocklist",))),
        (
            {"candidates": [candidate(reason="STOP")], "usage_metadata": {"candidates_token_count": 2}},
            Reading(finish_reasons=("stop",), usage=Usage(output=2)),
        ),
    ],
)
def test_a_chunk_is_a_number_of_tokens_or_says_more(fields: Any, expected: int | Reading) -> None:
    assert _gemini.read_chunk(types.GenerateContentResponse.model_validate(fields)) == expected


def test_the_tokens_of_embeddings_are_those_of_all_texts() -> None:
    told = {"embeddings": [{"statistics": {"token_count": 2.0}}, {"statistics": {"token_count": 3.0}}]}
    answer = types.EmbedContentResponse.model_validate(told)
    assert _gemini.read_embeddings(answer) == Reading(usage=Usage(input=5))


def kept(client: genai.Client, seen: Captured, **asked: Any) -> Content:
    registry = get_progress_registry()
    registry.capture = Capture(preview=True, span=True)
    try:
        client.models.generate_content(model="ok", **asked)
    finally:
        registry.capture = NO_CAPTURE
    content = seen._states[0].content
    assert content is not None
    return content


def test_the_content_is_kept_where_that_is_asked_for(client: genai.Client, seen: Captured) -> None:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    declared: Any = {"name": "search", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}}
    tools = [weather, types.Tool(function_declarations=[types.FunctionDeclaration(**declared)])]
    config = types.GenerateContentConfig(tools=tools, system_instruction="be brief", automatic_function_calling=off)
    told = kept(client, seen, contents=CANARY, config=config).attributes(["stop"])
    assert told["gen_ai.system_instructions"] == [{"type": "text", "content": "be brief"}]
    assert told["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]
    assert told["gen_ai.tool.definitions"] == [
        {"type": "function", "name": "weather", "description": "What it is like there."},
        {
            "type": "function",
            "name": "search",
            "description": None,
            "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}},
        },
    ]
    (answer,) = told["gen_ai.output.messages"]
    assert [part["name"] for part in answer["parts"]] == ["weather", "search"]
    assert answer["parts"][0]["arguments"] == '{"city": "Oslo"}'


def test_every_kind_of_contents_is_read(client: genai.Client, seen: Captured) -> None:
    image = types.Part.from_bytes(data=b"png", mime_type="image/png")
    contents: list[Any] = [
        "one",
        types.Part.from_text(text="two"),
        types.Content(role="model", parts=[types.Part(text="Hm", thought=True), types.Part(text="three")]),
        {"role": "user", "parts": [{"text": "four"}]},
        types.Content(role="model", parts=[types.Part.from_function_call(name="f", args={"a": 1})]),
        types.Content(role="user", parts=[types.Part.from_function_response(name="f", response={"b": 2})]),
        types.Content(role="user", parts=[image, types.Part.from_uri(file_uri="gs://a/b.png", mime_type="image/png")]),
    ]
    messages = kept(client, seen, contents=contents).prompt.messages
    assert [message["role"] for message in messages] == [
        "user",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "user",
    ]
    assert [part for message in messages for part in message["parts"]] == [
        {"type": "text", "content": "one"},
        {"type": "text", "content": "two"},
        {"type": "reasoning", "content": "Hm"},
        {"type": "text", "content": "three"},
        {"type": "text", "content": "four"},
        {"type": "tool_call", "id": None, "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call_response", "id": None, "response": {"b": 2}},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""},
        {"type": "uri", "modality": "image", "mime_type": "image/png", "uri": "gs://a/b.png"},
    ]


interactions = pytest.mark.skipif(not HAS_INTERACTIONS, reason="google-genai 1 had other interactions")


@interactions
@pytest.mark.parametrize("stream", [False, True])
def test_an_interaction_is_read_without_its_content(
    stream: bool, client: genai.Client, states: list[State], seen: Captured, server: FakeGemini
) -> None:
    config: Any = {"temperature": 0.5, "max_output_tokens": 64, "seed": 11}
    asked: Any = {"system_instruction": CANARY, "previous_interaction_id": "answer-0", "generation_config": config}
    answer: Any = client.interactions.create(model="ok", input=CANARY, stream=stream, timeout=12.5, **asked)
    events = list(answer) if stream else []
    assert said(states[0]) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "ok",
        **({"gen_ai.request.stream": True} if stream else {}),
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 11,
        "gen_ai.conversation.id": "answer-0",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "answer-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("completed",),
    }
    operation = the_operation(seen)
    assert operation.tokens is not None
    assert (operation.chunks or 0, operation.tokens.input, operation.tokens.output) == (len(events), 7, 3)
    assert (operation.tokens.reasoning, operation.tokens.cached, operation.tokens.estimated) == (1, 2, False)


@interactions
def test_a_request_that_is_one_object_is_read_as_its_fields_are(client: genai.Client, states: list[State]) -> None:
    body: Any = {"model": "ok", "input": "x", "generation_config": {"max_output_tokens": 64}}
    client.interactions.create(request={"body": body})
    assert states[0].model == "ok"
    assert said(states[0])["gen_ai.request.max_tokens"] == 64


@interactions
def test_the_first_attempt_of_an_interaction_is_retried_in_the_same_operation(
    server: FakeGemini, seen: Captured
) -> None:
    with made(server.base_url, retry_options={"attempts": 2, "initial_delay": 0.001}) as client:
        client.interactions.create(model="flaky", input="x")
    operation = the_operation(seen)
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)


@interactions
def test_an_error_event_of_an_interaction_fails_it(client: genai.Client, seen: Captured) -> None:
    events: Any = client.interactions.create(model="failing", input="x", stream=True)
    assert [event.event_type for event in events][-1] == "error"
    operation = the_operation(seen)
    assert (operation.status, operation.error) == (Status.FAILED, ErrorInfo(type="overloaded", message=None))


@interactions
@pytest.mark.parametrize("stream", [False, True])
def test_the_content_of_an_interaction_is_kept_where_that_is_asked_for(
    stream: bool, client: genai.Client, seen: Captured
) -> None:
    registry = get_progress_registry()
    registry.capture = Capture(preview=True, span=True)
    tool: Any = {"type": "function", "name": "weather", "description": "What it is like there."}
    try:
        answer: Any = client.interactions.create(
            model="parrot", input=CANARY, system_instruction="be brief", tools=[tool], stream=stream
        )
        assert not stream or list(answer)
    finally:
        registry.capture = NO_CAPTURE
    content = seen._states[0].content
    assert content is not None
    told = content.attributes(["completed"])
    assert told["gen_ai.system_instructions"] == [{"type": "text", "content": "be brief"}]
    assert told["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]
    assert [each["name"] for each in told["gen_ai.tool.definitions"]] == ["weather"]
    said, called = told["gen_ai.output.messages"][0]["parts"]
    assert said["content"] == f"You said: {CANARY}"
    assert (called["name"], called["arguments"]) == ("weather", '{"city": "Oslo"}')


def test_each_kind_of_step_is_a_message() -> None:
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "Oslo?"}]},
        {"type": "function_call", "id": "call-1", "name": "weather", "arguments": {"city": "Oslo"}},
        {"type": "function_result", "call_id": "call-1", "result": "sunny"},
        {"type": "model_output", "content": [{"type": "text", "text": "Sunny."}]},
    ]
    prompt = _gemini_interactions.read_prompt({"body": {"input": steps}})
    assert [(each["role"], each["parts"][0]["type"]) for each in prompt.messages] == [
        ("user", "text"),
        ("assistant", "tool_call"),
        ("tool", "tool_call_response"),
        ("assistant", "text"),
    ]


@interactions
def test_a_disabled_resource_of_interactions_is_not_seen(client: genai.Client, seen: Captured) -> None:
    disable(client.interactions)
    client.interactions.create(model="ok", input="x")
    assert seen.operations == []


@interactions
def test_interactions_that_a_disabled_client_makes_later_are_not_seen(
    client: genai.Client, server: FakeGemini, seen: Captured
) -> None:
    async def run() -> None:
        async with async_client(server.base_url) as own:
            disable(own)
            await own.interactions.create(model="ok", input="x")

    disable(client)
    client.interactions.create(model="ok", input="x")
    asyncio.run(run())
    assert seen.operations == []
    with sync_client(server.base_url) as other:
        other.interactions.create(model="ok", input="x")
    assert len(seen.operations) == 1


@interactions
def test_a_raw_response_of_an_interaction_is_read(client: genai.Client, seen: Captured) -> None:
    client.interactions.with_raw_response.create(model="ok", input="x")
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output) == (7, 3)


@interactions
def test_the_stream_of_a_raw_response_of_an_interaction_is_counted(client: genai.Client, seen: Captured) -> None:
    raw: Any = client.interactions.with_raw_response.create(model="ok", input="x", stream=True)
    events = list(raw.parse())
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(events))
    assert operation.tokens is not None
    assert operation.tokens.output == 3
