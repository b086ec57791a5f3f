"""What the Mistral readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest
from mistralai.client import Mistral, utils
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.sources.otel_spans import SpanMirror
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan.tracking.tracker import get_progress_registry, no_span
from midspan_instrumentation.provider import Failure, Piece, Reading, Server, Usage
from midspan_instrumentation.providers import _mistral, _mistral_content, _mistral_conversations
from midspan_instrumentation.providers.mistralai import PROVIDER
from tests.exporting import exporter, nothing_complains, provider
from tests.fakes.mistralai_calls import ANSWERS, SDK, STREAMS, Twin, in_cloud
from tests.fakes.mistralai_server import CONVERSATION
from tests.fakes.sdk import PROMPT, Answer, Case, Reply
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import attributes, said, the_operation

__all__ = ["exporter", "nothing_complains", "provider"]


CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]
TEXT = "".join(CONTENT)
HAS_RESPONSES = any("responses" in case.name for case in ANSWERS)
NEWER = pytest.mark.skipif(not HAS_RESPONSES, reason="this version has no responses")
ASKED = [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]


@pytest.fixture
def client() -> Mistral:
    """A client that is answered in the process."""
    return SDK.over(lambda url, _, content: SDK.respond(url, content))[0]


def answering(status: int, *events: Any, kind: str = "text/event-stream") -> Mistral:
    """A client that gets these events, or this body, whatever it asks."""
    named = [f"event: {event.get('type', '')}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    parts = named if kind == "text/event-stream" else [json.dumps(events[0]).encode()]
    return SDK.over(lambda *_: Reply(status, kind, parts))[0]


def test_a_request_is_read_without_its_content(client: Mistral, states: list[State]) -> None:
    client.chat.complete(
        model="ok",
        messages=MESSAGES,
        max_tokens=64,
        temperature=0.5,
        top_p=1,
        frequency_penalty=0.25,
        presence_penalty=0.75,
        random_seed=11,
        stop="END",
        n=2,
        response_format={"type": "json_object"},
        timeout_ms=12_500,
    )
    assert attributes(states) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": 0.75,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
        "server.address": "model.example",
        "server.port": 80,
        "gen_ai.response.id": "cmpl-1",
        "gen_ai.response.model": "ok-0001",
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert states[0].stall_after == 12.5


def test_a_call_stalls_at_the_sdks_own_timeout(client: Mistral, states: list[State]) -> None:
    client.fim.complete(model="ok", prompt=CANARY)
    assert states[0].stall_after == 300.0


def test_a_call_may_go_to_another_server(states: list[State]) -> None:
    client = answering(200, {"model": "m", "pages": [], "usage_info": {"pages_processed": 0}}, kind="application/json")
    document: Any = {"type": "document_url", "document_url": "https://pages.example/a.pdf"}
    client.ocr.process(model="ok", document=document, server_url="https://other.example")
    assert attributes(states)["server.address"] == "other.example"
    assert attributes(states)["server.port"] == 443


def test_a_call_that_goes_to_another_cloud_is_told_by_the_host(client: Mistral, seen: Captured) -> None:
    client.fim.complete(model="ok", prompt=CANARY, server_url="https://mine.models.ai.azure.com")
    assert the_operation(seen).provider == "azure.ai.inference"


def test_an_agent_is_told_by_its_id(client: Mistral, seen: Captured, states: list[State]) -> None:
    client.agents.complete(agent_id="agent-1", messages=MESSAGES)
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name, operation.model) == ("agent", "invoke_agent", None)
    assert attributes(states)["gen_ai.agent.id"] == "agent-1"


def test_a_conversation_is_told_by_its_arguments_and_its_id(
    client: Mistral, seen: Captured, states: list[State]
) -> None:
    client.beta.conversations.append(
        conversation_id=CONVERSATION, inputs=CANARY, completion_args={"temperature": 0.5, "max_tokens": 64}
    )
    operation, told = the_operation(seen), attributes(states)
    assert (operation.operation_type, operation.name, operation.status) == ("agent", "invoke_agent", "completed")
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (7, 3)
    assert told["gen_ai.conversation.id"] == CONVERSATION
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.max_tokens"]) == (0.5, 64)
    assert told["gen_ai.response.model"] == f"{CONVERSATION}-0001"


def test_embeddings_are_an_operation_type_of_their_own(client: Mistral, seen: Captured, states: list[State]) -> None:
    client.embeddings.create(model="ok", inputs=CANARY, output_dimension=2, encoding_format="float")
    operation, told = the_operation(seen), attributes(states)
    assert (operation.operation_type, operation.name) == ("embedding", "embeddings")
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (7, None)
    assert told["gen_ai.embeddings.dimension.count"] == 2
    assert told["gen_ai.request.encoding_formats"] == ("float",)


def test_speech_is_recognised_whole_and_streamed(client: Mistral, seen: Captured) -> None:
    client.audio.transcriptions.complete(model="ok", file_url="https://sounds.example/a.wav")
    with client.audio.transcriptions.stream(model="ok", file_url="https://sounds.example/a.wav") as stream:
        list(stream)
    told = [(each.operation_type, each.name, each.status, each.chunks) for each in seen.operations]
    assert told == [("audio", "transcription", "completed", None), ("audio", "transcription", "completed", 4)]
    assert [each.tokens and each.tokens.input for each in seen.operations] == [7, 7]


def test_speech_is_made_whole_and_streamed(client: Mistral, seen: Captured) -> None:
    client.audio.speech.complete(model="ok", input=CANARY)
    with client.audio.speech.complete(model="ok", input=CANARY, stream=True) as stream:
        list(stream)
    told = [(each.operation_type, each.name, each.status, each.chunks) for each in seen.operations]
    assert told == [("audio", "speech", "completed", None), ("audio", "speech", "completed", 4)]
    assert seen.operations[1].tokens is not None
    assert (seen.operations[1].tokens.input, seen.operations[1].tokens.estimated) == (7, False)


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize(
    ("name", "given", "operation"),
    [
        ("moderate", {"inputs": [PROMPT]}, "moderation"),
        ("moderate_chat", {"inputs": MESSAGES}, "moderation"),
        ("classify", {"inputs": PROMPT}, "classify"),
        ("classify_chat", {"input": {"messages": MESSAGES}}, "classify"),
    ],
)
def test_what_is_judged_is_an_operation(
    name: str, given: Any, operation: str, client: Mistral, states: list[State]
) -> None:
    getattr(client.classifiers, name)(model="ok", **given)
    told = attributes(states)
    assert (states[0].name, states[0].status, told["gen_ai.response.id"]) == (operation, "completed", "judge-1")
    if not name.endswith("chat"):
        assert states[0].content is not None
        assert states[0].content.attributes(())["gen_ai.input.messages"] == ASKED


@NEWER
def test_the_tokens_of_a_response_are_told_by_its_last_event(client: Mistral, seen: Captured) -> None:
    with client.responses.create(model="ok", input=CANARY, max_output_tokens=9, stream=True) as stream:
        list(stream)
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.reasoning, tokens.cached) == (7, 3, 1, 2)


def test_no_content_is_kept_anywhere(client: Mistral, seen: Captured, states: list[State]) -> None:
    with client.chat.stream(model="ok", messages=MESSAGES) as stream:
        list(stream)
    client.beta.conversations.start(model="ok", inputs=CANARY, instructions=CANARY)
    with pytest.raises(Exception, match="400"):
        client.chat.complete(model="refused", messages=MESSAGES)
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert not any(part in kept for part in CONTENT[:2])


WITHOUT_PROMPT = ("embeddings.create", "ocr.process", "audio.transcriptions.complete", "audio.transcriptions.stream")


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=str)
def test_prompt_and_answer_of_every_target_are_kept(case: Case, client: Mistral, states: list[State]) -> None:
    result = case.call(client, "ok")
    if case in STREAMS:
        with result as stream:
            list(stream)
    (state,) = states
    assert state.content is not None
    kept = state.content.attributes(())
    if case.name not in WITHOUT_PROMPT:
        assert kept["gen_ai.input.messages"] == ASKED
    if case.name != "embeddings.create":
        written = "".join(part["content"] for part in kept["gen_ai.output.messages"][0]["parts"])
        assert written == TEXT


def test_structured_outputs_are_one_operation(client: Mistral, seen: Captured) -> None:
    parsed = client.chat.parse(Answer, model="ok", messages=MESSAGES)
    assert parsed.choices is not None
    assert parsed.choices[0].message is not None
    assert parsed.choices[0].message.parsed == Answer(answer="It works.")
    assert the_operation(seen).name == "chat"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.chat.stream(model="failing", messages=MESSAGES), ErrorInfo(type="error")),
        (lambda c: c.beta.conversations.start_stream(model="failing", inputs="x"), ErrorInfo(type="3500")),
        pytest.param(
            lambda c: c.responses.create(model="failing", input="x", stream=True),
            ErrorInfo(type="server_error"),
            marks=NEWER,
        ),
    ],
    ids=["chat", "conversation", "response"],
)
def test_an_error_in_a_stream_fails_the_operation_though_the_sdk_raises_nothing(
    call: Callable[[Any], Any], error: ErrorInfo, client: Mistral, seen: Captured
) -> None:
    with call(client) as stream:
        list(stream)
    operation = the_operation(seen)
    assert (operation.status, operation.error) == (Status.FAILED, error)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("chat.parse_stream", {"model": "ok", "messages": MESSAGES, "response_format": Answer}),
        ("beta.conversations.append_stream", {"conversation_id": CONVERSATION, "inputs": "x"}),
        ("beta.conversations.restart_stream", {"conversation_id": CONVERSATION, "from_entry_id": "e", "inputs": "x"}),
    ],
)
def test_the_other_ways_to_stream_are_seen_too(name: str, given: Any, client: Mistral, seen: Captured) -> None:
    with attrgetter(name)(client)(**given) as stream:
        list(stream)
    assert (the_operation(seen).chunks, the_operation(seen).status) == (5, Status.COMPLETED)


def test_an_answer_that_finishes_with_an_error_is_failed(client: Mistral, seen: Captured) -> None:
    client.chat.complete(model="failing", messages=MESSAGES)
    assert (the_operation(seen).status, the_operation(seen).error) == (Status.FAILED, ErrorInfo(type="error"))


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_is_completed_with_its_last_event(case: Case, client: Mistral, seen: Captured) -> None:
    with case.call(client, "ok") as stream:
        last = [next(stream) for _ in range({"transcriptions": 4, "responses": 10}.get(case.name.split(".")[-2], 5))][
            -1
        ]
        assert the_operation(seen).status == Status.COMPLETED
    assert last.data is not None


def test_a_refused_call_is_asked_again_after_the_time_that_the_sdk_says(
    states: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str | None] = []
    monkeypatch.setattr("time.sleep", lambda _: waited.append(states[0].waiting_for))
    statuses = iter((429, 200))
    whole = {"id": "e", "object": "list", "model": "m", "data": [], "usage": {"prompt_tokens": 7}}
    client = SDK.over(lambda *_: Reply(next(statuses), "application/json", [json.dumps(whole).encode()]))[0]
    backoff = utils.BackoffStrategy(1, 1, 1.0, 1_000)
    client.embeddings.create(model="ok", inputs="x", retries=utils.RetryConfig("backoff", backoff, False))
    (state,) = states
    assert (state.status, state.attempt, waited) == (Status.COMPLETED, 2, ["rate_limit"])


def test_a_disabled_client_is_not_seen(client: Mistral, seen: Captured) -> None:
    disable(client)
    client.chat.complete(model="ok", messages=MESSAGES)
    client.beta.conversations.start(model="ok", inputs="x")
    assert seen.operations == []


def test_an_instance_without_a_client_has_an_unknown_server() -> None:
    assert PROVIDER.read_server(object()) == Server()
    assert PROVIDER.read_client(object()) is None


def test_every_async_target_is_declared_async() -> None:
    declared = {f"{target.module}.{target.qualname}": target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.endswith("_async") for name in declared}


def event(**data: Any) -> Any:
    return SimpleNamespace(data=SimpleNamespace(**data))


def chunk(content: Any, reason: str | None = None, usage: Any = None) -> Any:
    choice = SimpleNamespace(index=0, delta=SimpleNamespace(content=content), finish_reason=reason)
    return event(choices=[choice], usage=usage)


USAGE = SimpleNamespace(prompt_tokens=7, completion_tokens=3)
THOUGHT = SimpleNamespace(type="thinking", thinking=[SimpleNamespace(type="text", text="hm")])
WRITTEN = SimpleNamespace(type="text", text="yes")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (chunk(""), 0),
        (chunk("a"), 1),
        (chunk([THOUGHT]), 1),
        (event(choices=None), 0),
        (chunk("", "stop"), Reading(finish_reasons=("stop",))),
        (chunk("", "stop", USAGE), Reading(finish_reasons=("stop",), usage=Usage(7, 3), is_last=True)),
        (chunk("", "error"), Reading(finish_reasons=("error",), failure=Failure("error"))),
    ],
)
def test_an_event_of_a_chat_is_a_number_of_tokens_or_says_more(given: Any, expected: int | Reading) -> None:
    assert _mistral.read_event(given) == expected


def test_an_event_of_a_conversation_is_a_number_of_tokens_or_says_more() -> None:
    read = _mistral_conversations.read_event
    assert read(event(type="conversation.response.started")) == 0
    assert read(event(type="message.output.delta", content="a")) == 1
    assert read(event(type="function.call.delta", arguments="{")) == 1
    assert read(event(type="tool.execution.delta")) == 0
    assert read(event(type="conversation.response.done", usage=USAGE)) == Reading(usage=Usage(7, 3), is_last=True)


def test_thoughts_and_the_calls_of_tools_are_told_from_text() -> None:
    assert list(_mistral_content.read_pieces(chunk([THOUGHT, WRITTEN]))) == [Piece("hm", "reasoning"), Piece("yes")]
    called = event(type="function.call.delta", output_index=1, arguments="{}", tool_call_id="c1", name="f")
    assert list(_mistral_conversations.read_pieces(called)) == [Piece("{}", "tool_call", key=1, id="c1", name="f")]
    whole = SimpleNamespace(outputs=[SimpleNamespace(type="message.output", content=[WRITTEN])])
    assert list(_mistral_conversations.read_answer(whole)) == [Piece("yes")]


def test_the_entries_of_a_conversation_are_messages() -> None:
    entries = [
        {"type": "message.input", "role": "user", "content": "x"},
        {"type": "function.call", "tool_call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function.result", "tool_call_id": "c1", "result": "y"},
    ]
    prompt = _mistral_conversations.read_prompt(inputs=entries, instructions="be brief")
    assert [message["role"] for message in prompt.messages] == ["user", "assistant", "tool"]
    assert prompt.messages[1]["parts"] == [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {}}]
    assert prompt.messages[2]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "y"}]
    assert prompt.instructions == [{"type": "text", "content": "be brief"}]


# The clients for other clouds.

AZURE = ("azure", "MistralAzure", {"api_key": "x", "server_url": "https://mine.models.ai.azure.com"})
REGION = "europe-west4-aiplatform.googleapis.com"
GCP = ("gcp", "MistralGCP", {"access_token": "x", "project_id": "p"})


def cloud_clients(package: str, name: str, options: Any) -> tuple[Any, Twin]:
    client = pytest.importorskip(f"mistralai.{package}.client", exc_type=ImportError, reason="needs google-auth")
    return in_cloud(getattr(client, name), lambda url, _, content: SDK.respond(url, content), **options)


CLOUD_CALLS = [
    (AZURE, "chat.complete", {"messages": MESSAGES}),
    (AZURE, "chat.stream", {"messages": MESSAGES}),
    (AZURE, "ocr.process", {"document": {"type": "document_url", "document_url": "https://pages.example/a.pdf"}}),
    (GCP, "chat.complete", {"messages": MESSAGES}),
    (GCP, "chat.stream", {"messages": MESSAGES}),
    (GCP, "fim.complete", {"prompt": CANARY}),
    (GCP, "fim.stream", {"prompt": CANARY}),
]


@pytest.mark.parametrize(
    ("cloud", "name", "options"), CLOUD_CALLS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_the_calls_of_a_client_for_another_cloud_are_seen_with_the_name_of_that(
    cloud: Any, name: str, options: Any, seen: Captured, states: list[State]
) -> None:
    case = Case("mistralai", name, name, tuple(options.items()))
    run_both(case, cloud_clients(*cloud), is_streamed=name.endswith("stream"))
    expected = {"azure": ("azure.ai.inference", "mine.models.ai.azure.com"), "gcp": ("gcp.vertex_ai", REGION)}
    for operation, state in zip(seen.operations, states, strict=True):
        assert (operation.provider, said(state)["server.address"]) == expected[cloud[0]]
        assert (operation.status, operation.chunks) == ("completed", 5 if name.endswith("stream") else None)
        assert (operation.tokens and operation.tokens.input) == (None if "ocr" in name else 7)


# The SDK's own spans.


@pytest.fixture
def traced(provider: TracerProvider, seen: Captured) -> Iterator[Captured]:
    """midspan and the SDK make spans with the same provider, and midspan mirrors those of others."""
    registry = get_progress_registry()
    mirror, recorder = SpanMirror(registry), SpanRecorder(registry, tracer_provider=provider)
    provider.add_span_processor(mirror)
    registry.add_processor(recorder)
    registry.foreign, registry.attach = mirror, recorder.attach
    yield seen
    registry.foreign, registry.attach = None, no_span
    registry.remove_processor(recorder)


def run_both(case: Case, clients: tuple[Any, Any], is_streamed: bool) -> None:
    """The call, by each kind of client."""

    async def run() -> None:
        answer = await case.call(clients[1], "ok")
        if is_streamed:
            async with answer as stream:
                assert [item async for item in stream]

    answer = case.call(clients[0], "ok")
    if is_streamed:
        with answer as stream:
            assert list(stream)
    asyncio.run(run())


# It has no name for a transcription, nor for a response.
NAMED = [
    case for case in (*ANSWERS, *STREAMS) if not any(word in case.name for word in ("transcriptions", "responses"))
]


@pytest.mark.parametrize("case", NAMED, ids=str)
def test_where_the_sdk_makes_spans_of_its_own_each_call_has_one_span_and_one_operation(
    case: Case, traced: Captured, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    telemetry = pytest.importorskip("mistralai.extra.observability.telemetry", reason="makes no spans of its own")
    client, twin = SDK.over(lambda url, _, content: SDK.respond(url, content))
    assert isinstance(twin, Twin)
    telemetry.configure_telemetry(client, provider=provider)
    run_both(case, (client, twin), case in STREAMS)
    spans = exporter.get_finished_spans()
    assert {span.instrumentation_scope.name for span in spans if span.instrumentation_scope} == {"mistralai_sdk_tracer"}
    # The SDK puts what was answered below its span of a conversation.
    asked = [span for span in spans if span.parent is None]
    assert sorted(f"{span.context.span_id:016x}" for span in asked) == sorted(
        each.span_id or "" for each in traced.operations
    )
    assert [each.status for each in traced.operations] == ["completed", "completed"]
    assert all("midspan.operation.id" in (span.attributes or {}) for span in asked)


def test_the_span_of_a_framework_around_an_agents_call_stays_the_frameworks(
    client: Mistral, traced: Captured, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("framework")
    with tracer.start_as_current_span("invoke_agent a", attributes={"gen_ai.operation.name": "invoke_agent"}):
        client.agents.complete(agent_id="agent-1", messages=MESSAGES)
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert [each.name for each in traced.operations] == ["invoke_agent a", "invoke_agent"]
