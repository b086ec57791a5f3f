"""What the Ollama readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import inspect
from typing import Any

import ollama
import pytest

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan_instrumentation.provider import Reading, Server, Usage
from midspan_instrumentation.providers import ollama as readers
from tests.fakes.ollama_calls import ANSWERS, SDK
from tests.fakes.ollama_server import FakeOllama
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import fixtures_of, said, the_operation

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]

has_embed = pytest.mark.skipif(
    not any(case.name == "embed" for case in ANSWERS), reason="this version of the SDK has no embed"
)
thinks = pytest.mark.skipif(
    "think" not in inspect.signature(ollama.Client.chat).parameters,
    reason="this version of the SDK has no think",
)


server, client = fixtures_of(SDK)


def test_a_request_is_read_without_its_content(client: Any, states: list[State], server: FakeOllama) -> None:
    options = {"num_predict": 64, "temperature": 0.5, "top_k": 40, "top_p": 1, "seed": 11, "stop": ["END"]}
    client.chat("ok", MESSAGES, format="json", options=options)
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.output.type": "json",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop",),
    }


def test_options_are_read_of_the_sdks_own_class_too_and_no_limit_is_none(client: Any, states: list[State]) -> None:
    client.generate(model="ok", prompt=CANARY, options=ollama.Options(num_predict=-1, seed=3))
    attributes = said(states[0])
    assert attributes["gen_ai.request.seed"] == 3
    assert "gen_ai.request.max_tokens" not in attributes


@pytest.mark.parametrize("method", ["chat", "generate"])
def test_a_stream_is_counted_and_tells_its_usage_at_the_end(method: str, client: Any, seen: Captured) -> None:
    asked: Any = {"messages": MESSAGES} if method == "chat" else {"prompt": CANARY}
    list(getattr(client, method)(model="limited", stream=True, **asked))
    operation = the_operation(seen)
    assert (operation.name, operation.chunks) == ({"generate": "text_completion"}.get(method, method), 4)
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output, operation.tokens.estimated) == (7, 3, False)
    assert said(seen._states[0])["gen_ai.response.finish_reasons"] == ("length",)


@has_embed
def test_embeddings_are_an_operation_type_of_their_own(client: Any, seen: Captured) -> None:
    client.embed(model="ok", input=[CANARY])
    client.embeddings(model="ok", prompt=CANARY)
    assert [(each.operation_type, each.name) for each in seen.operations] == [("embedding", "embeddings")] * 2
    tokens = seen.operations[0].tokens
    assert tokens is not None
    assert (tokens.input, tokens.output) == (7, None)


def test_no_content_is_kept_anywhere(client: Any, seen: Captured, states: list[State]) -> None:
    list(client.chat(model="parrot", messages=MESSAGES, stream=True))
    client.generate(model="parrot", prompt=CANARY, system=CANARY)
    for model in ("echoing", "failing"):
        with pytest.raises(ollama.ResponseError):
            list(client.chat(model=model, messages=MESSAGES, stream=True))
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert CONTENT[0] not in kept


def test_an_error_inside_a_stream_fails_as_the_sdk_raises_it(client: Any, seen: Captured) -> None:
    with pytest.raises(ollama.ResponseError, match="overloaded"):
        list(client.chat(model="failing", messages=MESSAGES, stream=True))
    operation = the_operation(seen)
    kind = ollama.ResponseError.__module__
    assert (operation.status, operation.error) == (Status.FAILED, ErrorInfo(type=f"{kind}.ResponseError"))


def test_odd_chunks_reach_the_application_and_are_counted(client: Any, seen: Captured) -> None:
    chunks = list(client.chat(model="odd", messages=MESSAGES, stream=True))
    operation = the_operation(seen)
    assert (operation.status, operation.chunks) == (Status.COMPLETED, len(chunks))
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (None, 2)


@pytest.mark.parametrize("name", ["chat", "generate"])
def test_the_functions_of_the_package_are_seen_once_each(
    name: str, client: Any, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They are bound to a client that was made when the package was imported.
    monkeypatch.setattr(getattr(ollama, name).__self__, "_client", client._client)
    asked: Any = {"messages": MESSAGES} if name == "chat" else {"prompt": CANARY}
    assert getattr(ollama, name)(model="ok", **asked)["done"]
    assert len(list(getattr(ollama, name)(model="ok", stream=True, **asked))) == 4
    assert [each.status for each in seen.operations] == [Status.COMPLETED] * 2


def test_a_disabled_client_is_not_seen(client: Any, seen: Captured) -> None:
    disable(client)
    client.chat(model="ok", messages=MESSAGES)
    assert seen.operations == []


def test_a_client_waits_as_long_as_it_was_told(server: FakeOllama) -> None:
    client = ollama.Client("http://127.0.0.1:11434", timeout=31.0)
    assert readers.PROVIDER.read_server(client) == Server("127.0.0.1", 11434, 31.0)
    assert readers.PROVIDER.read_server(object()) == Server()


def test_every_async_target_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in readers.PROVIDER.targets}
    assert declared == {name: name.startswith("Async") for name in declared}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message": {"role": "assistant", "content": "a"}, "done": False}, 1),
        ({"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False}, 1),
        ({"message": {"role": "assistant", "tool_calls": [{}]}, "done": False}, 1),
        ({"message": {"role": "assistant", "content": ""}, "done": False}, 0),
        ({"message": None, "done": None}, 0),
        ({}, 0),
        ({"done": True}, Reading(finish_reasons=("stop",))),
        ({"done": True, "done_reason": "load", "eval_count": 2}, Reading(0, None, None, ("load",), Usage(output=2))),
    ],
)
def test_a_mapping_as_older_releases_give_it_is_read_alike(fields: Any, expected: int | Reading) -> None:
    assert readers._CHAT.read_chunk(fields) == expected


@thinks
@pytest.mark.usefixtures("capturing")
def test_thinking_and_tools_are_progress_and_content(client: Any, seen: Captured) -> None:
    def weather(city: str) -> str:
        """What it is like there."""
        return city

    list(client.chat(model="ok", messages=MESSAGES, tools=[weather], think=True, stream=True))
    content = seen._states[0].content
    assert content is not None
    told = content.attributes(["stop"])
    assert told["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]
    assert told["gen_ai.tool.definitions"] == [
        {"type": "function", "name": "weather", "description": "What it is like there."}
    ]
    assert told["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "text", "content": "".join(CONTENT)},
                {"type": "tool_call", "id": None, "name": "weather", "arguments": '{"city": "Oslo"}'},
            ],
            "finish_reason": "stop",
        }
    ]
    assert seen.operations[0].chunks == 6


@pytest.mark.usefixtures("capturing")
def test_the_content_of_a_generation_is_read(client: Any, seen: Captured) -> None:
    client.generate("ok", CANARY, system="be brief")
    content = seen._states[0].content
    assert content is not None
    assert content.prompt.instructions == [{"type": "text", "content": "be brief"}]
    assert content.prompt.messages[0]["parts"] == [{"type": "text", "content": CANARY}]
    assert content.answer() == "".join(CONTENT)
