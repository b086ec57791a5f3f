"""What the OpenAI readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import openai
import pytest
from openai.resources.chat import Completions
from openai.types.chat import ChatCompletionChunk

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation.provider import Failure, Reading, Server, Usage
from midspan_instrumentation.providers import _chat_completions as chat
from midspan_instrumentation.providers import _responses as responses
from midspan_instrumentation.providers import _stainless
from midspan_instrumentation.providers.openai import PROVIDER
from tests.fakes.openai_calls import ANSWERS, STREAMS, sync_client
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.fakes.sdk import NO_TLS
from tests.instrumentation.conftest import MakeAsync
from tests.instrumentation.seen import said, the_operation

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]
USAGE = Usage(input=7, output=3, reasoning=1, cached=2)


has_responses = pytest.mark.skipif(
    not any(case.name == "responses.create" for case in ANSWERS), reason="this version of the SDK has no responses"
)


STREAM = next(case for case in STREAMS if case.name == "chat.stream")


@pytest.mark.skipif(
    "max_completion_tokens" not in inspect.signature(Completions.create).parameters,
    reason="this version of the SDK has no max_completion_tokens",
)
def test_a_request_is_read_without_its_content(client: openai.OpenAI, states: list[State], server: FakeOpenAI) -> None:
    client.chat.completions.create(
        model="ok",
        messages=MESSAGES,
        max_completion_tokens=64,
        temperature=0.5,
        top_p=1,
        frequency_penalty=0.25,
        presence_penalty=0.75,
        seed=11,
        stop="END",
        n=2,
        timeout=12.5,
    )
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": 0.75,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop", "stop"),
    }
    assert states[0].stall_after == 12.5


@has_responses
def test_a_streamed_request_says_so(client: openai.OpenAI, states: list[State]) -> None:
    list(client.responses.create(model="ok", input=CANARY, stream=True, max_output_tokens=9))
    attributes = said(states[0])
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.request.max_tokens"] == 9
    assert attributes["gen_ai.response.id"] == "resp_1"
    assert attributes["gen_ai.response.model"] == "ok-0001"
    assert attributes["gen_ai.response.finish_reasons"] == ("completed",)


def test_embeddings_are_an_operation_type_of_their_own(
    client: openai.OpenAI, seen: Captured, states: list[State]
) -> None:
    client.embeddings.create(model="ok", input=CANARY, dimensions=2, encoding_format="float")
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name) == ("embedding", "embeddings")
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (7, None)
    attributes = said(states[0])
    assert attributes["gen_ai.embeddings.dimension.count"] == 2
    assert attributes["gen_ai.request.encoding_formats"] == ("float",)


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize(
    ("name", "more", "operation"),
    [
        ("responses.compact", {}, "compact"),
        ("decisions.create", {"questions": [{"type": "predicate", "question": "?"}]}, "classify"),
    ],
)
def test_what_is_no_chat_has_a_name_of_its_own(
    name: str, more: Any, operation: str, client: openai.OpenAI, states: list[State], seen: Captured
) -> None:
    resource, _, method = name.partition(".")
    ask = getattr(getattr(client, resource, None), method, None)
    if ask is None:
        pytest.skip(f"this version of the SDK has no {name}")
    ask(model="ok", input=CANARY, **more)
    found = the_operation(seen)
    assert (found.name, found.model, found.status) == (operation, "ok", Status.COMPLETED)
    assert found.tokens is not None
    assert (found.tokens.input, found.tokens.output) == (USAGE.input, USAGE.output)
    assert states[0].content is not None
    assert states[0].content.prompt.messages == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]


@has_responses
def test_no_content_is_kept_anywhere(client: openai.OpenAI, seen: Captured, states: list[State]) -> None:
    list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True, user=CANARY))
    client.responses.create(model="ok", input=CANARY, instructions=CANARY)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="refused", messages=MESSAGES)
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert not any(part in kept for part in CONTENT[:2])


def test_one_shot_messages_reach_the_server(client: openai.OpenAI, server: FakeOpenAI, seen: Captured) -> None:
    list(client.chat.completions.create(model="ok", messages=iter(MESSAGES), stream=True))
    assert server.requests[-1]["messages"] == MESSAGES
    assert len(seen.operations) == 1


def test_the_servers_usage_replaces_the_estimate_in_a_stream(client: openai.OpenAI, seen: Captured) -> None:
    options: Any = {"include_usage": True}
    stream = client.chat.completions.create(model="ok", messages=MESSAGES, stream=True, stream_options=options)
    list(stream)
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.estimated) == (7, 3, False)


def test_without_usage_the_tokens_of_a_stream_are_an_estimate(client: openai.OpenAI, seen: Captured) -> None:
    list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True))
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.estimated) == (None, 3, True)


def test_several_choices_are_counted_together(client: openai.OpenAI, seen: Captured, states: list[State]) -> None:
    list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True, n=2))
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert tokens.output == 6
    assert said(states[0])["gen_ai.response.finish_reasons"] == ("stop", "stop")


def test_odd_chunks_reach_the_application_and_are_counted(client: openai.OpenAI, seen: Captured) -> None:
    chunks = list(client.chat.completions.create(model="odd", messages=MESSAGES, stream=True))
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(chunks))
    assert operation.tokens is not None
    assert operation.tokens.input == 7


@has_responses
def test_a_failed_response_fails_the_operation_though_the_sdk_raises_nothing(
    client: openai.OpenAI, seen: Captured
) -> None:
    events = list(client.responses.create(model="failing", input="x", stream=True))
    assert events[-1].type == "response.failed"
    operation = the_operation(seen)
    assert operation.error is not None
    assert (operation.status, operation.error) == (Status.FAILED, ErrorInfo(type="server_error"))


def test_an_error_in_a_chat_stream_fails_as_the_sdk_raises_it(client: openai.OpenAI, seen: Captured) -> None:
    stream = client.chat.completions.create(model="failing", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="overloaded"):
        list(stream)
    operation = the_operation(seen)
    assert operation.error is not None
    assert (operation.status, operation.error.type) == (Status.FAILED, "openai.APIError")


@pytest.mark.parametrize(
    ("api", "reason"), [("chat", "length"), pytest.param("responses", "max_output_tokens", marks=has_responses)]
)
def test_an_answer_cut_at_its_limit_is_completed_with_the_reason(
    api: str, reason: str, client: openai.OpenAI, seen: Captured, states: list[State]
) -> None:
    if api == "chat":
        list(client.chat.completions.create(model="limited", messages=MESSAGES, stream=True))
    else:
        list(client.responses.create(model="limited", input="x", stream=True))
    assert the_operation(seen).status == Status.COMPLETED
    assert said(states[0])["gen_ai.response.finish_reasons"] == (reason,)


def test_azure_has_a_name_of_its_own(server: FakeOpenAI, seen: Captured) -> None:
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    endpoint = f"http://127.0.0.1:{server.port}"
    with openai.AzureOpenAI(api_key="x", api_version="1", azure_endpoint=endpoint, http_client=http) as client:
        client.chat.completions.create(model="ok", messages=MESSAGES)
    operation = the_operation(seen)
    assert (operation.provider, operation.status) == ("azure.ai.openai", Status.COMPLETED)


def test_an_async_azure_client_is_seen_streaming(server: FakeOpenAI, seen: Captured) -> None:
    async def run() -> int:
        own = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        endpoint = f"http://127.0.0.1:{server.port}"
        async with openai.AsyncAzureOpenAI(
            api_key="x", api_version="1", azure_endpoint=endpoint, http_client=own
        ) as client:
            stream = await client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
            return len([chunk async for chunk in stream])

    assert asyncio.run(run()) == 5
    operation = the_operation(seen)
    assert (operation.provider, operation.chunks, operation.status) == ("azure.ai.openai", 5, Status.COMPLETED)


@pytest.mark.parametrize("stream", [False, True])
def test_the_older_completions_are_seen(stream: bool, client: openai.OpenAI, seen: Captured) -> None:
    result: Any = client.completions.create(model="ok", prompt=CANARY, stream=stream)  # type: ignore[call-overload]
    if stream:
        assert len(list(result)) == 4
    operation = the_operation(seen)
    assert (operation.name, operation.status) == ("text_completion", Status.COMPLETED)
    assert operation.tokens is not None
    assert (operation.tokens.output, operation.tokens.estimated) == (3, stream)


def test_a_call_stalls_at_the_clients_own_timeout(client: openai.OpenAI, states: list[State]) -> None:
    client.with_options(timeout=31.0).embeddings.create(model="ok", input="x")
    assert states[0].stall_after == 31.0


def test_an_instance_without_a_client_has_an_unknown_server() -> None:
    assert PROVIDER.read_server(object()) == Server()
    assert PROVIDER.read_client(object()) is None


def chunk(**fields: Any) -> Any:
    text = json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **fields})
    return ChatCompletionChunk.construct(**json.loads(text))


def choice(reason: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": reason}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"choices": []}, 0),
        ({"choices": None}, 0),
        ({}, 0),
        ({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}, 0),
        ({"choices": [choice(role="assistant", content="")]}, 0),
        ({"choices": [choice(content="a")]}, 1),
        ({"choices": [choice(content="a"), choice(content="b", index=1)]}, 2),
        ({"choices": [choice(content=None, reasoning_content="hm")]}, 1),
        ({"choices": [choice(refusal="no")]}, 1),
        ({"choices": [choice(tool_calls=[{"index": None, "function": None}])]}, 1),
        ({"choices": [choice("stop")]}, Reading(finish_reasons=("stop",))),
        ({"choices": [choice("stop", content="a")]}, Reading(tokens=1, finish_reasons=("stop",))),
        ({"choices": [], "usage": {"prompt_tokens": 7}}, Reading(usage=Usage(input=7))),
        ({"choices": [], "usage": None}, 0),
    ],
)
def test_a_chat_chunk_is_a_number_of_tokens_or_says_more(fields: Any, expected: int | Reading) -> None:
    assert chat.read_chunk(chunk(**fields)) == expected


@has_responses
def test_a_responses_event_is_a_number_of_tokens_or_says_more() -> None:
    from openai.types.responses import ResponseTextDeltaEvent

    delta = ResponseTextDeltaEvent.construct(type="response.output_text.delta", delta="a")
    assert responses.read_event(delta) == 1
    assert responses.read_event(ResponseTextDeltaEvent.construct(type=None)) == 0
    assert responses.read_event(ResponseTextDeltaEvent.construct(type="response.in_progress")) == 0
    error: Any = ResponseTextDeltaEvent.construct(type="error", code=None, message="overloaded")
    assert responses.read_event(error) == Reading(failure=Failure("error", "overloaded"))


@has_responses
def test_the_usage_of_both_apis_is_read_alike(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="ok", messages=MESSAGES)
    response = client.responses.create(model="ok", input="x")
    assert chat.read_completion(completion).usage == USAGE
    assert responses.read_response(response).usage == USAGE


def test_every_async_target_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.startswith("Async") for name in declared}


def test_an_async_helper_is_seen_through(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> str | None:
        async with (
            make_async() as client,
            STREAM.call(client, "ok") as stream,
        ):
            completion = await stream.get_final_completion()
            return completion.choices[0].message.content

    assert asyncio.run(run()) == "".join(CONTENT)
    assert the_operation(seen).status == Status.COMPLETED
    assert get_progress_registry().running() == []


def test_what_is_read_of_clients_is_remembered_for_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stainless, "MAX_SERVERS", 2)
    monkeypatch.setattr(_stainless, "_servers", {})
    for port in range(1, 6):
        with sync_client(f"http://127.0.0.1:{port}/v1") as client:
            for _ in range(2):
                assert PROVIDER.read_server(client.chat.completions).port == port
        assert len(_stainless._servers) <= 2
