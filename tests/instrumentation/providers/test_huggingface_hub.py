"""What is read of the calls of Hugging Face's clients, of well-formed and of odd data, and what is never read."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import BadRequestError, OverloadedError

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan_instrumentation.provider import Piece, Prompt, Reading, Server, Usage
from midspan_instrumentation.providers import _text_generation as generation
from midspan_instrumentation.providers.huggingface_hub import PROVIDER, _read_chat, _read_server, _read_task
from tests.fakes.huggingface_hub_calls import SDK, over
from tests.fakes.huggingface_server import FakeHuggingFace
from tests.fakes.sdk import Reply
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import fixtures_of, said, the_operation

CANARY = "canary-7f3a"
JSON = "application/json"
MESSAGES: Any = [{"role": "user", "content": CANARY}]


server, client = fixtures_of(SDK)


def test_a_chat_is_read_without_its_content(
    client: InferenceClient, states: list[State], server: FakeHuggingFace
) -> None:
    client.chat.completions.create(MESSAGES, model="ok", max_tokens=64, temperature=0.5, top_p=1, seed=11, stop=["END"])
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "hugging_face",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert (states[0].input_tokens, states[0].output_tokens) == (7, 3)


def test_a_generation_is_read_without_its_content(
    client: InferenceClient, states: list[State], server: FakeHuggingFace
) -> None:
    url = f"{server.base_url}/limited"
    list(client.text_generation(CANARY, model=url, stream=True, details=True, max_new_tokens=9, top_k=5, seed=3))
    attributes = said(states[0])
    assert {name: value for name, value in attributes.items() if not name.startswith("server.")} == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "hugging_face",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.top_k": 5,
        "gen_ai.request.seed": 3,
        "gen_ai.response.finish_reasons": ("length",),
    }
    assert (states[0].input_tokens, states[0].output_tokens) == (7, 3)


def test_streams_are_counted_with_details_and_without(
    client: InferenceClient, seen: Captured, server: FakeHuggingFace
) -> None:
    list(client.text_generation(CANARY, model=f"{server.base_url}/ok", stream=True))
    list(client.chat_completion(MESSAGES, model="ok", stream=True))
    assert [each.chunks for each in seen.operations] == [4, 5]
    assert [each.tokens and (each.tokens.output, each.tokens.estimated) for each in seen.operations] == [
        (4, True),
        (3, True),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Server("router.huggingface.co", 443, None, "hugging_face")),
        ({"token": "hf_x", "model": "org/m"}, Server("router.huggingface.co", 443, None, "hugging_face", "org/m")),
        ({"token": "hf_x", "provider": "groq"}, Server("router.huggingface.co", 443, None, "groq")),
        ({"token": "x", "provider": "together", "timeout": 31}, Server("api.together.xyz", 443, 31, "together_ai")),
        ({"token": "x", "provider": "nscale"}, Server("inference.api.nscale.com", 443, None, "nscale")),
        ({"token": "x", "provider": "auto"}, Server(None, None, None, "hugging_face")),
        ({"token": "x", "provider": "of_the_future"}, Server(None, None, None, "of_the_future")),
        ({"token": "x", "base_url": "https://api.groq.com/openai/v1"}, Server("api.groq.com", 443, None, "groq")),
        ({"token": "x", "model": "http://127.0.0.1:8080"}, Server("127.0.0.1", 8080, None, None)),
    ],
)
def test_the_service_and_its_address_are_those_of_the_client(options: Any, expected: Server) -> None:
    assert _read_server(InferenceClient(**options)) == expected


def test_a_call_may_name_an_address_or_leave_the_model_to_the_client() -> None:
    asked = _read_chat(MESSAGES, model="https://api.groq.com/v1")
    assert (asked.model, asked.server) == (None, Server("api.groq.com", 443, None, "groq"))
    assert _read_task("x", model="org/m").model == "org/m"


def test_the_clients_own_model_is_the_model(seen: Captured) -> None:
    client = InferenceClient(model="org/m", provider="of_the_future")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not supported"):
        client.chat_completion(MESSAGES)
    operation = the_operation(seen)
    assert (operation.model, operation.provider, operation.status) == ("org/m", "of_the_future", Status.FAILED)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_method_that_calls_itself_again_is_one_operation(is_async: bool, seen: Captured) -> None:
    """`text_generation` does, without the parameters that the server has refused."""
    refused = {"error": "The following `model_kwargs` are not used by the model: ['watermark'] (note: typos)"}
    replies = iter((Reply(400, JSON, [json.dumps(refused).encode()]), Reply(200, JSON, [b'{"generated_text": "It"}'])))
    sync, own = over(lambda *_: next(replies))
    url = f"http://model.example/{is_async}"
    if is_async:
        asyncio.run(own.text_generation(CANARY, model=url))
    else:
        sync.text_generation(CANARY, model=url)
    operation = the_operation(seen)
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)


def test_tasks_are_operations_of_their_type(client: InferenceClient, seen: Captured, server: FakeHuggingFace) -> None:
    client.zero_shot_classification(CANARY, ["yes"], model=f"{server.base_url}/ok")
    assert (the_operation(seen).name, the_operation(seen).operation_type) == ("zero_shot_classification", "llm_request")
    told = {
        target.qualname.rpartition(".")[2]: (target.operation, target.operation_type) for target in PROVIDER.targets
    }
    assert told["feature_extraction"] == ("embeddings", "embedding")
    assert told["text_to_image"] == ("generate_images", "image")
    assert told["automatic_speech_recognition"] == ("transcription", "audio")
    assert len(told) == 27


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed, which these answers are made with")
def test_embeddings_are_an_operation_type_of_their_own(
    client: InferenceClient, seen: Captured, server: FakeHuggingFace
) -> None:
    client.feature_extraction(CANARY, model=f"{server.base_url}/embeddings")
    assert (the_operation(seen).name, the_operation(seen).operation_type) == ("embeddings", "embedding")


def test_no_content_is_kept_anywhere(
    client: InferenceClient, seen: Captured, states: list[State], server: FakeHuggingFace
) -> None:
    list(client.chat_completion(MESSAGES, model="parrot", stream=True))
    client.text_generation(CANARY, model=f"{server.base_url}/parrot")
    with pytest.raises(BadRequestError):
        client.chat_completion(MESSAGES, model="echoing")
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert CONTENT[0] not in kept


def test_an_error_inside_a_stream_fails_as_the_sdk_raises_it(client: InferenceClient, seen: Captured) -> None:
    with pytest.raises(OverloadedError):
        list(client.chat_completion(MESSAGES, model="failing", stream=True))
    operation = the_operation(seen)
    assert (operation.status, operation.error and operation.error.type) == (
        Status.FAILED,
        "huggingface_hub.errors.OverloadedError",
    )
    assert isinstance(operation.error, ErrorInfo)


def test_odd_chunks_reach_the_application_and_are_counted(
    client: InferenceClient, seen: Captured, server: FakeHuggingFace
) -> None:
    chunks = list(client.text_generation(CANARY, model=f"{server.base_url}/odd", stream=True, details=True))
    assert (the_operation(seen).status, the_operation(seen).chunks) == (Status.COMPLETED, len(chunks))


def test_a_disabled_client_is_not_seen(client: InferenceClient, seen: Captured) -> None:
    disable(client)
    client.chat_completion(MESSAGES, model="ok")
    assert seen.operations == []


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ("a", 1),
        ("", 0),
        ({"token": {"text": "a", "special": False}}, 1),
        ({"token": {"text": "</s>", "special": True}}, 0),
        ({"token": None}, 0),
        (
            {"token": {"text": "a"}, "details": {"finish_reason": "length", "generated_tokens": 3, "input_length": 7}},
            Reading(tokens=1, finish_reasons=("length",), usage=Usage(7, 3)),
        ),
        ({"details": {"finish_reason": None, "prefill": [1, 2]}}, Reading(usage=Usage(input=2))),
    ],
)
def test_a_chunk_of_a_generation_is_read(chunk: Any, expected: int | Reading) -> None:
    assert generation.read_chunk(chunk) == expected


def test_what_is_asked_and_answered_is_kept_on_request(
    client: InferenceClient, seen: Captured, server: FakeHuggingFace, capturing: None
) -> None:
    list(client.chat_completion(MESSAGES, model="ok", stream=True))
    client.chat_completion(messages=MESSAGES, model="ok")
    for details in (False, True):
        list(client.text_generation(CANARY, model=f"{server.base_url}/ok", stream=True, details=details))
        client.text_generation(prompt=CANARY, model=f"{server.base_url}/ok", details=details)
    for state in seen._states:
        assert state.content is not None
        assert state.content.prompt.messages == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]
        assert (state.content.answer() or "").startswith("".join(CONTENT))


def test_odd_prompts_and_answers_have_no_content() -> None:
    assert generation.read_prompt(None) == Prompt(messages=[])
    assert list(generation.read_answer({"generated_text": None})) == []
    assert list(generation.read_pieces("a")) == [Piece("a")]


def test_every_async_target_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.startswith("Async") for name in declared}
