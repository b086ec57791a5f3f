"""What is seen of LiteLLM's calls, whichever SDK is below, and of its router's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest

from midspan.core.operation import Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan_instrumentation.provider import Request, Server
from midspan_instrumentation.providers.litellm import PROVIDER
from tests.fakes.cohere_server import FakeCohere
from tests.fakes.litellm_calls import SDK
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.instrumentation.seen import said, the_operation

MESSAGES: Any = [{"role": "user", "content": "canary-7f3a"}]
TEXT = "".join(CONTENT)

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def quiet_router(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "LiteLLM Router")


@pytest.fixture
def ask(server: FakeOpenAI) -> Iterator[Ask]:
    """`litellm.completion` of the model `ok`, unless told otherwise."""
    with SDK.sync_client(server.base_url) as client:
        yield lambda model="ok", **asked: client.completion(**{"model": model, "messages": MESSAGES, **asked})


def test_a_request_is_read_without_its_content(ask: Ask, states: list[State], server: FakeOpenAI) -> None:
    ask(max_tokens=64, temperature=0.5, n=2, stop="END", timeout=12.5)
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ("END",),
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop", "stop"),
    }
    assert states[0].stall_after == 12.5


def test_the_usage_that_the_server_tells_at_the_end_of_a_stream_replaces_the_estimate(ask: Ask, seen: Captured) -> None:
    stream = ask(stream=True)
    while not next(stream).choices[0].delta.content:
        pass
    running = the_operation(seen)
    assert (running.stage, running.tokens and running.tokens.output) == ("streaming_response", 1)
    list(stream)
    estimated = the_operation(seen).tokens
    assert estimated is not None
    assert (estimated.output, estimated.estimated) == (3, True)
    list(ask(stream=True, stream_options={"include_usage": True}))
    told = seen.operations[1].tokens
    assert told is not None
    assert (told.input, told.output, told.reasoning, told.cached, told.estimated) == (7, 3, 1, 2, False)


def test_the_tokens_of_streamed_text_are_estimated(server: FakeOpenAI, seen: Captured) -> None:
    with SDK.sync_client(server.base_url) as client:
        list(client.text_completion(model="ok", prompt="a", stream=True))
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.output, tokens.estimated) == (3, True)


def test_functions_take_their_first_arguments_by_position(server: FakeOpenAI, seen: Captured) -> None:
    options: Any = {"api_base": server.base_url, "api_key": "x"}
    litellm.completion("openai/ok", MESSAGES, **options)
    litellm.text_completion("a", "openai/limited", **options)
    litellm.embedding("openai/parrot", "a", **options)
    assert [(each.name, each.model) for each in seen.operations] == [
        ("chat", "ok"),
        ("text_completion", "limited"),
        ("embeddings", "parrot"),
    ]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_response_is_one_operation(is_async: bool, is_streamed: bool, server: FakeOpenAI, seen: Captured) -> None:
    asked: Any = {"model": "openai/ok", "api_base": server.base_url, "api_key": "x", "stream": is_streamed}

    async def read() -> None:
        answer: Any = await litellm.aresponses("a", **asked)
        if is_streamed:
            assert [event async for event in answer]

    if is_async:
        asyncio.run(read())
    else:
        answer: Any = litellm.responses("a", **asked)
        assert not is_streamed or list(answer)
    operation = the_operation(seen)
    assert (operation.name, operation.status, operation.model) == ("chat", Status.COMPLETED, "ok")
    assert operation.tokens is not None
    assert operation.tokens.output == 3


OTHERS = [
    ("image_generation", {"prompt": "a"}, ("image", "generate_images")),
    ("moderation", {"input": "a"}, ("llm_request", "moderation")),
    ("transcription", {"file": ("a.wav", b"sound")}, ("audio", "transcription")),
    ("speech", {"input": "a", "voice": "alloy"}, ("audio", "speech")),
]


@pytest.mark.parametrize(("name", "given", "kind"), OTHERS, ids=lambda part: part if isinstance(part, str) else "")
def test_the_other_functions_are_operations_too(
    name: str, given: Any, kind: Any, server: FakeOpenAI, seen: Captured
) -> None:
    options: Any = {"model": "openai/ok", "api_base": server.base_url, "api_key": "x", **given}
    getattr(litellm, name)(**options)
    asyncio.run(getattr(litellm, f"a{name}")(**options))
    told = [(each.operation_type, each.name, each.model, each.provider, each.status) for each in seen.operations]
    assert told == [(*kind, "ok", "openai", Status.COMPLETED)] * 2


def test_reranking_is_retrieval(seen: Captured) -> None:
    with FakeCohere() as server:
        litellm.rerank("cohere/ok", "a", ["b", "c"], api_base=server.base_url, api_key="x")
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name, operation.provider) == ("retrieval", "rerank", "cohere")
    assert operation.status == Status.COMPLETED


@pytest.fixture
def contents(states: list[State], monkeypatch: pytest.MonkeyPatch) -> list[State]:
    """Content is kept."""
    from midspan.core.content import Capture
    from midspan.tracking.tracker import get_progress_registry

    monkeypatch.setattr(get_progress_registry(), "capture", Capture(preview=True))
    return states


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_the_content_is_kept_where_that_was_asked_for(is_streamed: bool, ask: Ask, contents: list[State]) -> None:
    answer = ask(stream=is_streamed)
    if is_streamed:
        list(answer)
    assert contents[0].content is not None
    kept = contents[0].content
    assert "canary-7f3a" in repr(kept.prompt.messages)
    assert TEXT in str(contents[0].preview)


# What stands before a model's name is the service, in LiteLLM's words.


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"model": "azure/mine"}, ("azure.ai.openai", "mine")),
        ({"model": "bedrock/anthropic.claude-v2"}, ("aws.bedrock", "anthropic.claude-v2")),
        ({"model": "vertex_ai/gemini-pro"}, ("gcp.vertex_ai", "gemini-pro")),
        ({"model": "huggingface/meta/llama"}, ("huggingface", "meta/llama")),
        ({"model": "meta/llama", "custom_llm_provider": "together_ai"}, ("together_ai", "meta/llama")),
        ({"model": "xai/grok", "custom_llm_provider": "xai"}, ("x_ai", "grok")),
        ({"model": "gpt-4o"}, ("openai", "gpt-4o")),
        ({"model": "gemini-2.5-pro"}, ("gcp.vertex_ai", "gemini-2.5-pro")),
        ({"model": "of-nobody"}, (None, "of-nobody")),
        ({"model": None}, (None, None)),
        ({"model": "openai/m", "api_base": "https://api.groq.com/openai/v1"}, ("groq", "m")),
    ],
)
def test_the_service_is_named_as_the_conventions_name_it(
    asked: dict[str, Any], expected: tuple[str | None, str | None]
) -> None:
    request: Request = PROVIDER.targets[0].read_request(**asked)
    assert request.server is not None
    assert (request.server.provider, request.model) == expected


def test_the_server_is_that_of_the_call() -> None:
    read = PROVIDER.targets[0].read_request
    assert read(model="openai/m", api_base="https://model.example/v1").server == Server(
        "model.example", 443, provider="openai"
    )
    assert read(model="openai/m", base_url="http://model.example:81").server == Server(
        "model.example", 81, provider="openai"
    )


# The router.


def deployment(name: str, model: str, url: str) -> dict[str, Any]:
    params = {"model": f"openai/{model}", "api_base": url, "api_key": "x", "max_retries": 0}
    return {"model_name": name, "litellm_params": params}


@pytest.fixture
def router(server: FakeOpenAI) -> litellm.Router:
    url = server.base_url
    models = [deployment("first", "refused", url), deployment("second", "ok", url), deployment("third", "flaky", url)]
    return litellm.Router(model_list=models, fallbacks=[{"first": ["second"]}], num_retries=0)


def text_of(answer: Any) -> str:
    """The text of an answer, streamed or not."""
    if hasattr(answer, "choices"):
        return answer.choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


async def atext_of(answer: Any) -> str:
    if hasattr(answer, "choices"):
        return answer.choices[0].message.content
    return "".join([chunk.choices[0].delta.content or "" async for chunk in answer])


def check_fallback(seen: Captured, is_streamed: bool) -> None:
    """One operation, under the router's name for the model, and a second attempt for the reason of the first."""
    operation = the_operation(seen)
    assert (operation.provider, operation.model) == ("openai", "first")
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)
    assert "retrying" in [str(event.stage) for event in operation.history]
    assert operation.tokens is not None
    assert (operation.tokens.output, operation.tokens.estimated) == (3, is_streamed)


streamed = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])


@streamed
def test_each_deployment_that_a_router_tries_is_an_attempt(
    is_streamed: bool, router: litellm.Router, seen: Captured
) -> None:
    assert text_of(router.completion("first", MESSAGES, stream=is_streamed)) == TEXT
    check_fallback(seen, is_streamed)


@streamed
def test_each_deployment_that_a_router_tries_is_an_attempt_asynchronously_too(
    is_streamed: bool, router: litellm.Router, seen: Captured
) -> None:
    async def read() -> str:
        return await atext_of(await router.acompletion("first", MESSAGES, stream=is_streamed))

    assert asyncio.run(read()) == TEXT
    check_fallback(seen, is_streamed)


def test_a_router_inside_of_a_running_loop_asks_in_another_thread_for_the_same_operation(
    router: litellm.Router, seen: Captured
) -> None:
    async def read() -> str:
        return text_of(router.completion("first", MESSAGES))

    assert asyncio.run(read()) == TEXT
    check_fallback(seen, is_streamed=False)


def test_what_a_router_embeds_is_one_operation(router: litellm.Router, seen: Captured) -> None:
    router.embedding("second", "a")
    operation = the_operation(seen)
    assert (operation.name, operation.operation_type, operation.model) == ("embeddings", "embedding", "second")


def test_a_router_of_several_services_has_no_name_in_common() -> None:
    models = [
        deployment("a", "m", "http://model.example/v1"),
        {"model_name": "a", "litellm_params": {"model": "groq/m"}},
    ]
    assert PROVIDER.read_server(litellm.Router(model_list=models)) == Server()
