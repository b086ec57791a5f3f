"""What the Cohere readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import cohere
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan.tracking.tracker import get_progress_registry, no_span
from midspan_instrumentation.provider import Failure, Piece, Reading, Server, Usage
from midspan_instrumentation.providers import _cohere, _cohere_content
from midspan_instrumentation.providers.cohere import PROVIDER
from tests.exporting import exporter, nothing_complains, provider
from tests.fakes.cohere_calls import ANSWERS, SDK, STREAMS
from tests.fakes.sdk import PROMPT, Case, Reply
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import attributes, the_operation

__all__ = ["exporter", "nothing_complains", "provider"]

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]
TEXT = "".join(CONTENT)
OLDER = pytest.mark.skipif(not hasattr(cohere.Client, "embed_stream"), reason="this version has no embed_stream")


@pytest.fixture
def client(seen: Captured) -> Any:
    """A client that is answered in the process; made when midspan is on, because it keeps some methods as they are."""
    return SDK.over(lambda url, _, content: SDK.respond(url, content))[0]


def test_a_request_is_read_without_its_content(client: Any, states: list[State]) -> None:
    client.chat(
        model="ok",
        messages=MESSAGES,
        max_tokens=64,
        temperature=0.5,
        p=0.75,
        k=40,
        seed=11,
        stop_sequences=["END"],
        frequency_penalty=0.25,
        presence_penalty=0.5,
        response_format={"type": "json_object"},
        request_options={"timeout_in_seconds": 12},
    )
    assert attributes(states) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "cohere",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.75,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.seed": 11,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": 0.5,
        "gen_ai.output.type": "json",
        "server.address": "model.example",
        "server.port": 80,
        "gen_ai.response.id": "gen-1",
        "gen_ai.response.finish_reasons": ("COMPLETE",),
    }
    assert states[0].stall_after == 12


def test_the_v2_of_a_client_is_read_alike(client: Any, states: list[State]) -> None:
    client.v1.v2.rerank(model="ok", query=CANARY, documents=["x"])
    assert attributes(states)["server.address"] == "model.example"


@pytest.mark.parametrize(
    ("name", "kind", "operation"),
    [
        ("rerank", "retrieval", "rerank"),
        ("v1.classify", "llm_request", "classify"),
        ("v1.generate", "llm_request", "text_completion"),
        ("embed", "embedding", "embeddings"),
    ],
)
def test_each_kind_of_call_has_its_type_and_its_name(
    name: str, kind: str, operation: str, client: Any, seen: Captured
) -> None:
    next(case for case in ANSWERS if case.name == name).call(client, "ok")
    assert (the_operation(seen).operation_type, the_operation(seen).name) == (kind, operation)


@pytest.mark.parametrize("name", ["chat", "v1.chat", "v1.generate", "chat_stream", "v1.chat_stream"])
def test_the_tokens_are_those_that_the_model_has_seen(name: str, client: Any, seen: Captured) -> None:
    answer = next(case for case in (*ANSWERS, *STREAMS) if case.name == name).call(client, "ok")
    if "stream" in name:
        list(answer)
    tokens = the_operation(seen).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.cached, tokens.estimated) == (7, 3, 2, False)


def test_no_content_is_kept_anywhere(client: Any, seen: Captured, states: list[State]) -> None:
    list(client.chat_stream(model="ok", messages=MESSAGES))
    client.v1.chat(model="ok", message=CANARY, preamble=CANARY)
    client.rerank(model="ok", query=CANARY, documents=[CANARY])
    with pytest.raises(cohere.BadRequestError):
        client.chat(model="refused", messages=MESSAGES)
    kept = repr(seen.operations) + repr([state.attributes for state in states])
    assert CANARY not in kept
    assert not any(part in kept for part in CONTENT[:2])


ASKED = [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=str)
def test_prompt_and_answer_of_every_target_are_kept(case: Case, client: Any, states: list[State]) -> None:
    answer = case.call(client, "ok")
    if case in STREAMS:
        list(answer)
    (state,) = states
    assert state.content is not None
    if "embed" not in case.name:
        assert state.content.attributes(())["gen_ai.input.messages"] == ASKED
    if any(word in case.name for word in ("chat", "generate")):
        assert state.content.answer() == TEXT


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_an_error_in_a_stream_fails_the_operation_though_the_sdk_raises_nothing(
    case: Case, client: Any, seen: Captured
) -> None:
    list(case.call(client, "failing"))
    assert (the_operation(seen).status, the_operation(seen).error) == (Status.FAILED, ErrorInfo(type="ERROR"))


def test_an_answer_that_finishes_with_an_error_is_failed(client: Any, seen: Captured) -> None:
    client.chat(model="failing", messages=MESSAGES)
    assert (the_operation(seen).status, the_operation(seen).error) == (Status.FAILED, ErrorInfo(type="ERROR"))


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_is_completed_with_its_last_event(case: Case, client: Any, seen: Captured) -> None:
    stream = case.call(client, "ok")
    for item in stream:
        if str(getattr(item, "type", None) or item.event_type) in ("message-end", "stream-end"):
            break
        assert the_operation(seen).status == Status.RUNNING
    assert the_operation(seen).status == Status.COMPLETED
    stream.close()


def test_a_refused_call_is_asked_again_after_the_time_that_the_sdk_says(
    states: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str | None] = []
    monkeypatch.setattr("time.sleep", lambda _: waited.append(states[0].waiting_for))
    statuses = iter((429, 200))
    whole = json.dumps({"id": "rank-1", "results": []}).encode()
    client = SDK.over(lambda *_: Reply(next(statuses), "application/json", [whole]))[0]
    client.rerank(model="ok", query="x", documents=["y"])
    (state,) = states
    assert (state.status, state.attempt, waited) == (Status.COMPLETED, 2, ["rate_limit"])


def test_a_disabled_client_is_not_seen(client: Any, seen: Captured) -> None:
    disable(client._v2)
    client.chat(model="ok", messages=MESSAGES)
    client.embed(model="ok", texts=["x"], input_type="search_query", embedding_types=["float"])
    assert seen.operations == []


def test_a_client_for_aws_is_named_after_the_service() -> None:
    bedrock = type("BedrockClient", (), {"__module__": "cohere.bedrock_client"})()
    bedrock._client_wrapper = object()
    assert PROVIDER.read_server(bedrock) == Server(provider="aws.bedrock")


def test_an_instance_without_a_client_has_an_unknown_server() -> None:
    assert PROVIDER.read_server(object()) == Server()
    assert PROVIDER.read_client(object()) is None


def test_every_async_target_that_is_awaited_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.startswith("Async") and "_stream" not in name for name in declared}


def event(kind: str, **fields: Any) -> Any:
    return SimpleNamespace(type=kind, event_type=kind, **fields)


def delta(**message: Any) -> Any:
    return SimpleNamespace(message=SimpleNamespace(**message))


TOOL = SimpleNamespace(id="c1", function=SimpleNamespace(name="f", arguments="{}"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event("message-start", delta=None), 0),
        (event("content-delta", delta=delta()), 1),
        (event("tool-plan-delta", delta=delta()), 1),
        (event("tool-call-delta", delta=delta()), 1),
        (event("citation-start", delta=delta()), 0),
        (event("message-end", delta=None), Reading(is_last=True)),
        (
            event("message-end", delta=SimpleNamespace(finish_reason="ERROR", error="no")),
            Reading(finish_reasons=("ERROR",), failure=Failure("ERROR", "no"), is_last=True),
        ),
    ],
)
def test_an_event_of_v2_is_a_number_of_tokens_or_says_more(given: Any, expected: int | Reading) -> None:
    assert _cohere.read_event(given) == expected


def test_what_is_billed_stands_in_for_what_is_not_counted() -> None:
    billed = SimpleNamespace(meta=SimpleNamespace(billed_units=SimpleNamespace(input_tokens=7.0)))
    assert _cohere.read_answer(billed).usage == Usage(input=7)


def test_thoughts_plans_and_the_calls_of_tools_are_told_from_text() -> None:
    pieces = _cohere_content.read_pieces
    assert list(pieces(event("content-delta", index=1, delta=delta(content=SimpleNamespace(thinking="hm"))))) == [
        Piece("hm", "reasoning", key=1)
    ]
    assert list(pieces(event("tool-plan-delta", delta=delta(tool_plan="first")))) == [Piece("first", "reasoning")]
    assert list(pieces(event("tool-call-start", index=0, delta=delta(tool_calls=TOOL)))) == [
        Piece("{}", "tool_call", id="c1", name="f")
    ]
    whole = SimpleNamespace(message=SimpleNamespace(content=[SimpleNamespace(text="yes")], tool_calls=[TOOL]))
    assert list(_cohere_content.read_answer(whole)) == [Piece("yes"), Piece("{}", "tool_call", id="c1", name="f")]


def test_the_history_of_v1_is_messages_and_its_tools_are_tools() -> None:
    history = [{"role": "CHATBOT", "message": "hi"}, {"role": "TOOL", "message": None}]
    tools = [{"name": "f", "description": "d", "parameter_definitions": {"x": {"type": "str"}}}]
    prompt = _cohere_content.read_prompt_v1(message="x", preamble="be brief", chat_history=history, tools=tools)
    assert [message["role"] for message in prompt.messages] == ["assistant", "tool", "user"]
    assert prompt.instructions == [{"type": "text", "content": "be brief"}]
    assert prompt.tools == [{"type": "function", "name": "f", "description": "d", "parameters": {"x": {"type": "str"}}}]
    called = SimpleNamespace(
        event_type="tool-calls-generation", text=None, tool_calls=[{"name": "f", "parameters": {}}]
    )
    (piece,) = _cohere_content.read_pieces_v1(called)
    assert (piece.text, piece.kind, piece.name) == ("{}", "tool_call", "f")


# Batches.

TEXTS = [f"text {number}" for number in range(250)]


class Embedding:
    """Answers requests for embeddings, in the process: the numbers of texts asked for, and what is seen meanwhile."""

    def __init__(self, seen: Captured) -> None:
        self.sizes: list[int] = []
        self.progress: list[tuple[float | None, float | None]] = []
        self.parents: set[int] = set()
        self._seen = seen
        # One at a time, so that each sees the ones before.
        self._lock = threading.Lock()

    def respond(self, _url: str, _headers: Any, content: bytes) -> Reply:
        asked = json.loads(content)["texts"]
        with self._lock:
            self.sizes.append(len(asked))
            self.parents.add(trace.get_current_span().get_span_context().span_id)
            (operation,) = self._seen.operations
            self.progress.append((operation.completed, operation.total))
        body = {"response_type": "embeddings_floats", "id": "e", "texts": asked, "embeddings": [[0.5]] * len(asked)}
        meta = {"billed_units": {"input_tokens": float(len(asked))}}
        return Reply(200, "application/json", [json.dumps({**body, "meta": meta}).encode()])


@pytest.fixture
def embedding(seen: Captured) -> Embedding:
    return Embedding(seen)


def embed(client: Any, texts: list[str], **more: Any) -> Any:
    return client.v1.embed(model="m", texts=texts, input_type="search_document", **more)


def check_batches(embedding: Embedding, seen: Captured) -> None:
    operation = the_operation(seen)
    assert (operation.name, operation.status, operation.attempt) == ("embeddings", Status.COMPLETED, 1)
    assert sorted(embedding.sizes) == [58, 96, 96]
    assert (operation.completed, operation.total, operation.unit) == (3, 3, "batches")
    assert {total for _, total in embedding.progress} == {3}
    assert operation.tokens is not None
    assert operation.tokens.input == 250


def test_embeddings_in_batches_are_one_operation_that_counts_them(embedding: Embedding, seen: Captured) -> None:
    client = SDK.over(embedding.respond)[0]
    assert len(embed(client, TEXTS).embeddings) == 250
    check_batches(embedding, seen)


def test_the_same_of_an_asynchronous_client(embedding: Embedding, seen: Captured) -> None:
    own = SDK.over(embedding.respond)[1]

    async def run() -> Any:
        return await embed(own, TEXTS)

    assert len(asyncio.run(run()).embeddings) == 250
    check_batches(embedding, seen)


def test_a_single_batch_is_seen_by_the_transport(embedding: Embedding, seen: Captured) -> None:
    embed(SDK.over(embedding.respond)[0], TEXTS[:9])
    assert embedding.sizes == [9]
    assert the_operation(seen).total is None
    assert the_operation(seen).bytes


def test_without_batching_it_is_one_request(embedding: Embedding, seen: Captured) -> None:
    embed(SDK.over(embedding.respond)[0], TEXTS, batching=False)
    assert embedding.sizes == [250]
    assert the_operation(seen).total is None


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]], ids=["batches", "one"])
def test_every_batch_is_sent_inside_of_the_calls_span_and_that_inside_of_the_applications(
    texts: list[str],
    embedding: Embedding,
    seen: Captured,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
) -> None:
    registry = get_progress_registry()
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    try:
        with provider.get_tracer("application").start_as_current_span("work") as work:
            embed(SDK.over(embedding.respond)[0], texts)
    finally:
        registry.attach = no_span
        registry.remove_processor(recorder)
    span, _ = exporter.get_finished_spans()
    assert embedding.parents == {span.context.span_id}
    assert span.parent == work.get_span_context()


def test_a_refused_batch_fails_the_whole(seen: Captured) -> None:
    client = SDK.over(lambda *_: Reply(400, "application/json", [b'{"message": "no"}']))[0]
    with pytest.raises(cohere.BadRequestError):
        embed(client, TEXTS)
    assert the_operation(seen).status == Status.FAILED


@OLDER
def test_embeddings_as_a_stream_are_counted_one_by_one(embedding: Embedding, seen: Captured) -> None:
    client = SDK.over(embedding.respond)[0]
    found = client.v1.embed_stream(model="m", texts=TEXTS[:100], input_type="search_document")
    assert len(list(found)) == 100
    assert embedding.sizes == [96, 4]
    assert (the_operation(seen).chunks, the_operation(seen).status) == (100, Status.COMPLETED)


def test_the_threads_of_others_are_left_alone(client: Any, seen: Captured) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(max, 1, 2).result() == 2
        assert pool.submit(lambda *, x: x, x=3).result() == 3
    assert not hasattr(ThreadPoolExecutor.submit, "__wrapped__")
