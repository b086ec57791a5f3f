"""What the Cohere readers read, of well-formed and of odd data, and what they never read."""

from __future__ import annotations

import asyncio
import json
import threading
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import cohere
import httpx
import pytest
from cohere import aws_client
from cohere.core.http_response import AsyncHttpResponse, HttpResponse
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core.operation import ErrorInfo, Status
from midspan.core.snapshot import snapshot
from midspan.core.state import State
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan.tracking.tracker import get_progress_registry, no_span
from midspan_instrumentation.provider import Failure, Piece, Reading, Server, Usage
from midspan_instrumentation.providers import _cohere, _cohere_content
from midspan_instrumentation.providers.cohere import PROVIDER
from tests.endings.reading import aentering, entering
from tests.exporting import exporter, nothing_complains, provider
from tests.fakes.cohere_calls import ANSWERS, SDK, STREAMS
from tests.fakes.sdk import PROMPT, Case, Opened, Reply
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import attributes, said, the_operation

__all__ = ["exporter", "nothing_complains", "provider"]

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]
TEXT = "".join(CONTENT)
DIRECT = [case for case in STREAMS if "raw" not in case.name]
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
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert not any(part in kept for part in CONTENT[:2])


ASKED = [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=str)
def test_prompt_and_answer_of_every_target_are_kept(case: Case, client: Any, states: list[State]) -> None:
    answer = case.call(client, "ok")
    if case in STREAMS:
        with entering(answer) as stream:
            list(stream)
    (state,) = states
    assert state.content is not None
    if not any(word in case.name for word in ("embed", "parse", "audio")):
        assert state.content.attributes(())["gen_ai.input.messages"] == ASKED
    if any(word in case.name for word in ("chat", "generate", "parse", "audio")):
        assert state.content.answer() == TEXT


@pytest.mark.parametrize("case", DIRECT, ids=str)
def test_an_error_in_a_stream_fails_the_operation_though_the_sdk_raises_nothing(
    case: Case, client: Any, seen: Captured
) -> None:
    list(case.call(client, "failing"))
    assert (the_operation(seen).status, the_operation(seen).error) == (Status.FAILED, ErrorInfo(type="ERROR"))


def test_an_answer_that_finishes_with_an_error_is_failed(client: Any, seen: Captured) -> None:
    client.chat(model="failing", messages=MESSAGES)
    assert (the_operation(seen).status, the_operation(seen).error) == (Status.FAILED, ErrorInfo(type="ERROR"))


@pytest.mark.parametrize("case", DIRECT, ids=str)
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


@pytest.mark.parametrize("service", ["bedrock", "sagemaker"])
def test_a_client_for_aws_is_named_after_the_service(service: Any) -> None:
    pytest.importorskip("boto3", reason="needs boto3")
    hooks = aws_client.get_event_hooks(service, "key", "secret", aws_region="us-east-1")
    client = cohere.ClientV2(api_key="x", httpx_client=httpx.Client(event_hooks=hooks))
    assert PROVIDER.read_server(client) == Server(provider=f"aws.{service}")
    assert PROVIDER.read_server(client.v2.with_raw_response) == Server(provider=f"aws.{service}")


def test_a_client_for_oracles_cloud_is_named_after_it() -> None:
    def hook(_request: Any) -> None:
        """Sends it there."""

    hook.__module__ = "cohere.oci_client"
    http = httpx.Client(event_hooks={"request": [lambda _: None, hook]})
    assert PROVIDER.read_server(cohere.ClientV2(api_key="x", httpx_client=http)) == Server(provider="oci")


def test_an_instance_without_a_client_has_an_unknown_server() -> None:
    assert PROVIDER.read_server(object()) == Server()
    assert PROVIDER.read_client(object()) is None


def test_every_async_target_that_is_awaited_is_declared_async() -> None:
    declared = {target.qualname: target.is_async for target in PROVIDER.targets}
    assert declared == {name: name.startswith("Async") and "_stream" not in name for name in declared}
    managed = {target.qualname: target.is_async for target in PROVIDER.managed}
    assert managed == {name: name.startswith("Async") for name in managed}


# Raw responses: what is seen of a call is the same.


def raw(case: Case, client: Any) -> Any:
    """What `with_raw_response` gives in the place of a case's answer."""
    owner, _, name = case.method.rpartition(".")
    holder = attrgetter(owner)(client) if owner else client
    return getattr(holder.with_raw_response, name)(**{"model": "ok", **dict(case.options)})


def facts(state: State) -> Any:
    """All that is seen of a call, but for when, and which."""
    seen = snapshot(state, state.ended_at or 0.0)
    told = [(event.type, event.stage) for event in seen.history]
    return told, seen.operation_type, seen.name, seen.status, seen.tokens, seen.chunks, said(state)


RAW = [case for case in ANSWERS if not any(word in case.name for word in ("raw", "batches"))]


@pytest.mark.parametrize("case", RAW, ids=str)
def test_a_raw_answer_is_seen_as_the_answer_in_it(case: Case, client: Any, states: list[State]) -> None:
    expected, found = case.call(client, "ok"), raw(case, client)
    assert (type(found), type(found.data)) == (HttpResponse, type(expected))
    assert facts(states[0]) == facts(states[1])


@pytest.mark.parametrize("case", RAW, ids=str)
def test_a_raw_answer_of_an_asynchronous_client_is_seen_alike(case: Case, states: list[State], seen: Captured) -> None:
    own = SDK.over(lambda url, _, content: SDK.respond(url, content))[1]

    async def run() -> tuple[Any, Any]:
        return await case.call(own, "ok"), await raw(case, own)

    expected, found = asyncio.run(run())
    assert (type(found), type(found.data)) == (AsyncHttpResponse, type(expected))
    assert facts(states[0]) == facts(states[1])


@pytest.mark.parametrize("case", DIRECT, ids=str)
def test_a_raw_stream_is_seen_as_the_stream_itself(case: Case, client: Any, states: list[State]) -> None:
    expected = list(case.call(client, "ok"))
    manager = raw(case, client)
    assert (type(manager).__name__, type(manager).__module__) == ("_GeneratorContextManager", "contextlib")
    assert len(states) == 1, "it has not been entered yet"
    with manager as response:
        assert [*response.data] == expected
        assert states[1].status == Status.COMPLETED
    assert facts(states[0]) == facts(states[1])


@pytest.mark.parametrize("case", DIRECT, ids=str)
def test_a_raw_stream_of_an_asynchronous_client_is_seen_alike(case: Case, states: list[State], seen: Captured) -> None:
    own = SDK.over(lambda url, _, content: SDK.respond(url, content))[1]

    async def run() -> None:
        expected = [item async for item in case.call(own, "ok")]
        async with raw(case, own) as response:
            assert [item async for item in response.data] == expected

    asyncio.run(run())
    assert facts(states[0]) == facts(states[1])


@pytest.fixture
def early_clients() -> Any:
    """Clients that were made before midspan is on."""
    return SDK.over(lambda url, _, content: SDK.respond(url, content))


@pytest.fixture
def clients(seen: Captured) -> Any:
    """And after."""
    return SDK.over(lambda url, _, content: SDK.respond(url, content))


@pytest.mark.parametrize("case", [*ANSWERS, *STREAMS], ids=str)
def test_clients_that_were_made_before_are_seen_as_those_that_were_made_after(
    case: Case, early_clients: Any, clients: Any, states: list[State]
) -> None:
    async def read(client: Any) -> None:
        answer = case.call(client, "ok")
        if case not in STREAMS:
            await answer
            return
        async with await aentering(Opened(lambda: answer)) as stream:
            assert [item async for item in stream]

    for each, own in (early_clients, clients):
        answer = case.call(each, "ok")
        if case in STREAMS:
            with entering(answer) as stream:
                assert list(stream)
        asyncio.run(read(own))
    assert facts(states[0]) == facts(states[2])
    assert facts(states[1]) == facts(states[3])
    assert {state.status for state in states} == {Status.COMPLETED}


def test_what_a_client_that_was_made_before_streams_may_be_left_early(early_clients: Any, seen: Captured) -> None:
    stream = early_clients[0].v1.chat_stream(model="ok", message="x")
    next(stream)
    assert the_operation(seen).status == Status.RUNNING
    stream.close()
    assert the_operation(seen).status == Status.CANCELLED


def test_pages_are_read_whether_they_are_written_or_in_blocks() -> None:
    pages = [{"markdown": {"content": "a"}}, {"blocks": [{"text": {"content": "b"}}, {"table": {}}]}]
    assert list(_cohere_content.read_pages(SimpleNamespace(pages=pages))) == [Piece("a"), Piece("b", key=1)]


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
    operation = the_operation(seen)
    assert (operation.chunks, operation.status, operation.attempt) == (100, Status.COMPLETED, 1)
    assert embedding.progress == [(None, 2), (1, 2)]
    assert (operation.completed, operation.unit) == (2, "batches")


@OLDER
def test_a_stream_of_embeddings_that_is_left_early_sends_no_more(embedding: Embedding, seen: Captured) -> None:
    client = SDK.over(embedding.respond)[0]
    found = client.v1.embed_stream(model="m", texts=TEXTS, input_type="search_document")
    next(found)
    found.close()
    assert embedding.sizes == [96]
    assert (the_operation(seen).status, the_operation(seen).status_reason) == (Status.CANCELLED, "closed early")


def test_the_threads_of_others_are_left_alone(client: Any, seen: Captured) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(max, 1, 2).result() == 2
        assert pool.submit(lambda *, x: x, x=3).result() == 3
    assert not hasattr(ThreadPoolExecutor.submit, "__wrapped__")
