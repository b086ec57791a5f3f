"""What is read of calls to Bedrock, of well-formed and of odd data, and what never is; other services are let be."""

from __future__ import annotations

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from botocore.response import StreamingBody

from midspan.core.operation import ErrorInfo, Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan_instrumentation.provider import Failure, Piece, Reading, Target, Usage
from midspan_instrumentation.providers import _bedrock_bodies as bodies
from midspan_instrumentation.providers import _bedrock_invoke as invoke
from midspan_instrumentation.providers import _converse as converse
from midspan_instrumentation.providers import _converse_content as converse_content
from midspan_instrumentation.providers.botocore import PROVIDER
from tests.fakes.bedrock_server import FakeBedrock
from tests.fakes.botocore_calls import SDK, _session
from tests.fakes.event_stream import compact
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import fixtures_of, said, the_operation

# urllib3 leaves the socket of a stream that is not read to its end to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": [{"text": CANARY}]}]
CLAUDE = {"anthropic_version": "1", "max_tokens": 64, "messages": [{"role": "user", "content": CANARY}]}
USAGE = Usage(input=7, output=3, cached=2)


server, client = fixtures_of(SDK)


def test_a_request_is_read_without_its_content(client: Any, states: list[State], server: FakeBedrock) -> None:
    client.converse(
        modelId="ok",
        messages=MESSAGES,
        system=[{"text": CANARY}],
        inferenceConfig={"maxTokens": 64, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"]},
    )
    assert said(states[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "ok",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.stop_sequences": ("END",),
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.finish_reasons": ("end_turn",),
    }
    assert states[0].stall_after == 60


def test_the_bodies_that_are_invoked_are_read_for_what_they_ask(client: Any, states: list[State]) -> None:
    body = json.dumps({**CLAUDE, "temperature": 0.5, "top_k": 5, "stop_sequences": ["END"]})
    list(client.invoke_model_with_response_stream(modelId="limited", body=body)["body"])
    attributes = said(states[0])
    assert {name: value for name, value in attributes.items() if not name.startswith("server.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "limited",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 5,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.model": "limited-0001",
        "gen_ai.response.finish_reasons": ("max_tokens",),
    }


def test_a_guardrail_is_told() -> None:
    asked = {"modelId": "ok", "guardrailConfig": {"guardrailIdentifier": "guard-1", "guardrailVersion": "1"}}
    assert converse.read_request("Converse", asked).attributes == {"aws.bedrock.guardrail.id": "guard-1"}


@pytest.mark.parametrize(
    "body",
    [
        b"\x00", b"[1]", "", None, SimpleNamespace(read=None), json.dumps({"max_tokens": 1, "prompt": "x" * 16_384}),
        json.dumps({"inferenceConfig": "odd", "textGenerationConfig": None}),
    ],
)  # fmt: skip
def test_bodies_that_are_odd_large_or_files_are_asked_nothing(body: Any) -> None:
    request = invoke.read_request("InvokeModel", {"modelId": "ok", "body": body})
    assert (request.model, request.max_tokens, request.attributes) == ("ok", None, {})


def test_both_kinds_of_streams_are_counted_and_tell_their_usage(client: Any, seen: Captured) -> None:
    list(client.converse_stream(modelId="ok", messages=MESSAGES)["stream"])
    for body in (CLAUDE, {"prompt": CANARY, "max_gen_len": 9}):
        list(client.invoke_model_with_response_stream(modelId="ok", body=json.dumps(body))["body"])
    assert [each.chunks for each in seen.operations] == [7, 9, 4]
    for operation in seen.operations:
        assert operation.tokens is not None
        assert (operation.tokens.input, operation.tokens.output, operation.tokens.estimated) == (7, 3, False)


def test_an_application_that_stops_at_the_last_event_has_a_completed_operation(client: Any, seen: Captured) -> None:
    stream = client.converse_stream(modelId="ok", messages=MESSAGES)["stream"]
    for event in stream:
        if "metadata" in event:
            break
    assert the_operation(seen).status is Status.COMPLETED


def test_a_stream_may_be_read_by_several_loops(client: Any, seen: Captured) -> None:
    stream = client.converse_stream(modelId="ok", messages=MESSAGES)["stream"]
    first = next(iter(stream))
    rest = [*stream]
    assert (list(first), len(rest)) == (["messageStart"], 6)
    assert (the_operation(seen).status, the_operation(seen).chunks) == (Status.COMPLETED, 7)


def test_an_invoked_answer_is_over_when_its_body_has_been_read(client: Any, seen: Captured) -> None:
    body = client.invoke_model(modelId="ok", body=json.dumps(CLAUDE))["body"]
    assert seen.operations[0].status is Status.RUNNING
    answer = json.load(body)
    operation = the_operation(seen)
    assert (answer["stop_reason"], operation.status, operation.bytes) == ("end_turn", Status.COMPLETED, 359)
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (7, 3)


@pytest.mark.parametrize(
    "read",
    [
        lambda body: [*body.iter_chunks(50)],
        lambda body: body.readinto(bytearray(10_000)) if hasattr(StreamingBody, "readinto") else body.read(),
        lambda body: [*body.iter_lines()],
        lambda body: body.read(amt=359),
        lambda body: body.__enter__().read(),
    ],
    ids=["chunks", "into", "lines", "exactly", "below"],
)
def test_however_a_body_is_read_it_is_seen_to_end(read: Any, client: Any, seen: Captured) -> None:
    read(client.invoke_model(modelId="ok", body=json.dumps(CLAUDE))["body"])
    assert (the_operation(seen).status, the_operation(seen).bytes) == (Status.COMPLETED, 359)


def test_a_body_that_is_closed_unread_is_closed_early(client: Any, seen: Captured) -> None:
    client.invoke_model(modelId="ok", body=json.dumps(CLAUDE))["body"].close()
    assert (the_operation(seen).status, the_operation(seen).status_reason) == (Status.CANCELLED, "closed early")


def test_a_body_is_of_the_sdks_class_by_name_and_by_instance(client: Any, seen: Captured) -> None:
    body = client.invoke_model(modelId="ok", body=json.dumps(CLAUDE))["body"]
    assert isinstance(body, StreamingBody)
    assert repr(type(body)) == repr(StreamingBody)
    body.close()


def test_an_error_inside_a_stream_fails_with_its_code(client: Any, seen: Captured) -> None:
    for call in (
        lambda: client.converse_stream(modelId="failing", messages=MESSAGES)["stream"],
        lambda: client.invoke_model_with_response_stream(modelId="failing", body=json.dumps(CLAUDE))["body"],
    ):
        with pytest.raises(EventStreamError):
            list(call())
    for operation in seen.operations:
        assert (operation.status, operation.error) == (Status.FAILED, ErrorInfo(type="modelStreamErrorException"))


def test_no_content_is_kept_anywhere(client: Any, seen: Captured, states: list[State]) -> None:
    list(client.converse_stream(modelId="parrot", messages=MESSAGES)["stream"])
    client.invoke_model(modelId="parrot", body=json.dumps(CLAUDE))["body"].read()
    with pytest.raises(ClientError):
        client.converse(modelId="echoing", messages=MESSAGES)
    kept = repr(seen.operations) + repr([said(state) for state in states])
    assert CANARY not in kept
    assert CONTENT[0] not in kept


def test_odd_events_reach_the_application_and_are_counted(client: Any, seen: Captured) -> None:
    list(client.converse_stream(modelId="odd", messages=MESSAGES)["stream"])
    operation = the_operation(seen)
    assert (operation.status, operation.chunks, operation.tokens and operation.tokens.input) == ("completed", 4, None)


def test_calls_of_other_services_and_operations_are_no_operations(server: FakeBedrock, seen: Captured) -> None:
    agents = _session().create_client("bedrock", "us-east-1", endpoint_url=server.base_url)
    with pytest.raises(ClientError, match="Unsupported method"):
        agents.list_foundation_models()
    agents.close()
    assert seen.operations == []
    assert chosen("bedrock-runtime", "ok", "CountTokens") is None


def test_a_disabled_client_is_not_seen(client: Any, seen: Captured) -> None:
    disable(client)
    client.converse(modelId="ok", messages=MESSAGES)
    assert seen.operations == []


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("anthropic.claude-sonnet-4-20250514-v1:0", ("chat", "llm_request")),
        ("amazon.titan-text-express-v1", ("text_completion", "llm_request")),
        ("amazon.titan-embed-text-v2:0", ("embeddings", "embedding")),
        ("cohere.embed-v4:0", ("embeddings", "embedding")),
        ("amazon.nova-canvas-v1:0", ("generate_images", "image")),
        ("stability.sd3-5-large-v1:0", ("generate_images", "image")),
        ("cohere.rerank-v3-5:0", ("rerank", "retrieval")),
    ],
)
def test_the_model_tells_what_invoking_it_is(model: str, told: tuple[str, str]) -> None:
    target = chosen("bedrock-runtime", model)
    assert target is not None
    assert (target.operation, target.operation_type) == told


def chosen(service: str, model: str, operation: str = "InvokeModel") -> Target | None:
    meta = SimpleNamespace(service_model=SimpleNamespace(service_name=service))
    return PROVIDER.dispatches[0].choose(SimpleNamespace(meta=meta), operation, {"modelId": model})


def test_another_service_may_have_an_operation_of_the_same_name() -> None:
    assert chosen("of-the-future", "ok") is None


@pytest.mark.parametrize(
    ("headers", "usage"),
    [
        ({"input-token-count": "5", "output-token-count": "3", "cache-read-input-token-count": "2"}, USAGE),
        ({"input-token-count": "12"}, Usage(input=12)),
        ({"output-token-count": "many"}, None),
        ({}, None),
    ],
)
def test_the_headers_of_an_invoked_answer_have_its_usage(headers: dict[str, str], usage: Usage | None) -> None:
    told = {f"x-amzn-bedrock-{name}": value for name, value in headers.items()}
    assert invoke.read_response({"ResponseMetadata": {"HTTPHeaders": told}}) == Reading(usage=usage)


TITAN = {"inputTextTokenCount": 7, "results": [{"tokenCount": 3, "outputText": "It", "completionReason": "FINISH"}]}
MAKERS: list[tuple[Any, Reading, list[Piece]]] = [
    (TITAN, Reading(finish_reasons=("FINISH",), usage=Usage(7, 3)), [Piece("It")]),
    (
        {"outputs": [{"text": "It", "stop_reason": "stop"}, {"text": "We", "stop_reason": "length"}]},
        Reading(finish_reasons=("stop", "length")),
        [Piece("It"), Piece("We", choice=1)],
    ),
    ({"text": "It", "finish_reason": "COMPLETE"}, Reading(finish_reasons=("COMPLETE",)), [Piece("It")]),
    ({"completion": "It", "stop_reason": "stop"}, Reading(finish_reasons=("stop",)), [Piece("It")]),
    (
        {"choices": [{"index": 0, "message": {"content": "It"}, "finish_reason": "stop"}]},
        Reading(finish_reasons=("stop",)),
        [Piece("It")],
    ),
    (
        {"output": {"message": {"content": [{"text": "It"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 7}},
        Reading(finish_reasons=("end_turn",), usage=Usage(input=7)),
        [Piece("It")],
    ),
    ({"embedding": [0.5], "inputTextTokenCount": 7}, Reading(usage=Usage(input=7)), []),
    ({"of": "the future"}, Reading(), []),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reading", "pieces"), MAKERS, ids=[next(iter(body)) for body, _, _ in MAKERS])
def test_each_makers_answers_are_read_in_their_own_words(body: Any, reading: Reading, pieces: list[Piece]) -> None:
    parsed = bodies.parse(json.dumps(body).encode())
    assert bodies.read(parsed) == reading
    assert list(bodies.read_answer(parsed)) == pieces


PARTS: list[tuple[Any, int | Reading, list[Piece]]] = [
    ({"outputText": "It", "completionReason": None}, 1, [Piece("It")]),
    ({"outputText": "", "completionReason": "FINISH"}, Reading(finish_reasons=("FINISH",)), []),
    ({"choices": [{"index": 0, "delta": {"content": "It"}, "finish_reason": None}]}, 1, [Piece("It")]),
    ({"contentBlockDelta": {"delta": {"text": "It"}, "contentBlockIndex": 1}}, 1, [Piece("It", key=1)]),
    ({"messageStop": {"stopReason": "end_turn"}}, Reading(finish_reasons=("end_turn",)), []),
    ({"metadata": {"usage": {"inputTokens": 7}}}, Reading(usage=Usage(input=7), is_last=True), []),
    ({"messageStart": {"role": "assistant"}}, 0, []),
    ({"outputs": [{"text": "It", "stop_reason": None}]}, 1, [Piece("It")]),
    (
        {"generation": "", "stop_reason": "stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 7}},
        Reading(finish_reasons=("stop",), usage=Usage(input=7), is_last=True),
        [],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("part", "reading", "pieces"), PARTS, ids=range(len(PARTS)))
def test_each_makers_streams_are_read_in_their_own_words(
    part: Any, reading: int | Reading, pieces: list[Piece]
) -> None:
    parsed = bodies.parse(json.dumps(part).encode())
    assert bodies.read_part(parsed) == reading
    assert list(bodies.read_pieces(parsed)) == pieces


def told(part: Any) -> Any:
    payload = compact({"bytes": b64encode(compact(part)).decode(), "p": "abc"})
    return SimpleNamespace(headers={":event-type": "chunk"}, payload=payload)


@pytest.mark.parametrize(("part", "reading", "pieces"), PARTS, ids=range(len(PARTS)))
def test_an_event_is_read_as_the_part_inside_of_it(part: Any, reading: int | Reading, pieces: list[Piece]) -> None:
    assert invoke.read_chunk(told(part)) == reading
    assert list(invoke.read_pieces(told(part))) == pieces


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3, "invocationLatency": 9}}
DELTA = {"type": "content_block_delta", "index": 0}


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({**DELTA, "delta": {"type": "text_delta", "text": "It"}}, 1),
        ({**DELTA, "index": 12, "delta": {"type": "text_delta", "text": "It"}}, 1),
        ({**DELTA, "delta": {"type": "thinking_delta", "thinking": "It"}}, 1),
        ({**DELTA, "delta": {"type": "input_json_delta", "partial_json": "{"}}, 1),
        ({**DELTA, "delta": {"type": "signature_delta", "signature": "x"}}, 0),
        ({"type": "ping", "says": '"text_delta"'}, 0),
        ({"generation": "It" * 200, "generation_token_count": 3, "stop_reason": None}, 1),
        ({"outputText": "It", "completionReason": None, "inputTextTokenCount": 7}, 1),
        ({"event_type": "text-generation", "text": "It"}, 1),
        ({"event_type": "stream-start", "says": 'eason":null'}, 0),
    ],
)
def test_a_token_is_seen_without_parsing_what_else_an_event_says(part: Any, tokens: int) -> None:
    assert invoke.read_chunk(told(part)) == tokens


@pytest.mark.parametrize("part", [{"generation": "", "stop_reason": None}, {"choices": []}], ids=["text", "chat"])
def test_the_counts_are_read_wherever_they_come(part: Any) -> None:
    assert invoke.read_chunk(told({**part, **METRICS})) == Reading(usage=Usage(7, 3), is_last=True)


def test_the_beginning_of_an_answer_tells_what_was_asked_though_it_has_no_reason_yet() -> None:
    message = {"id": "m-1", "model": "claude", "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    found = invoke.read_chunk(told({"type": "message_start", "message": message}))
    assert isinstance(found, Reading)
    assert found.usage is not None


def event(kind: str, fields: Any, **headers: str) -> Any:
    return SimpleNamespace(headers={f":{kind}": "x", **headers}, payload=json.dumps(fields).encode())


def test_errors_inside_of_streams_are_read_of_their_headers() -> None:
    odd = event("message-type", {}, **{":message-type": "error", ":error-code": "Gone", ":error-message": "no"})
    assert converse.read_message(odd) == Reading(failure=Failure("Gone", "no"))
    odd = event("message-type", {"Message": "no"}, **{":message-type": "exception"})
    assert converse.read_message(odd) == Reading(failure=Failure("exception", "no"))


def test_what_is_asked_and_answered_is_kept_on_request(client: Any, seen: Captured, capturing: None) -> None:
    list(client.converse_stream(modelId="ok", messages=MESSAGES, system=[{"text": "be brief"}])["stream"])
    list(client.invoke_model_with_response_stream(modelId="ok", body=json.dumps(CLAUDE))["body"])
    client.converse(modelId="ok", messages=MESSAGES)
    client.invoke_model(modelId="ok", body=json.dumps({**CLAUDE, "system": "be brief"}))["body"].read()
    client.invoke_model(modelId="ok", body=json.dumps({"prompt": CANARY}))["body"].read()
    for state in seen._states:
        assert state.content is not None
        assert state.content.prompt.messages == [{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]
        assert state.content.answer() == "".join(CONTENT)
    instructions = [each.content.prompt.instructions for each in seen._states if each.content]
    brief = [{"type": "text", "content": "be brief"}]
    assert instructions == [brief, [], [], brief, []]


def test_tools_thoughts_and_media_are_parts_of_messages() -> None:
    use = {"toolUseId": "t1", "name": "weather", "input": {"city": "Oslo"}}
    results = [{"text": "3"}, {"json": {"c": 3}}]
    asked = [
        {"role": "assistant", "content": [{"toolUse": use}, {"reasoningContent": {"reasoningText": {"text": "hm"}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": results}}]},
        {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"x"}}}, {"document": {}}]},
    ]
    tools = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}]}
    prompt = converse_content.read_prompt("Converse", {"messages": asked, "toolConfig": tools})
    assert [each["parts"] for each in prompt.messages] == [
        [
            {"type": "tool_call", "id": "t1", "name": "weather", "arguments": {"city": "Oslo"}},
            {"type": "reasoning", "content": "hm"},
        ],
        [
            {
                "type": "tool_call_response",
                "id": "t1",
                "response": [{"type": "text", "content": "3"}, {"type": "json", "content": {"c": 3}}],
            }
        ],
        [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""}, {"type": "document"}],
    ]
    assert prompt.tools == [
        {"type": "function", "name": "weather", "description": None, "parameters": {"type": "object"}}
    ]


def test_tool_calls_of_answers_and_streams_are_pieces() -> None:
    use = {"toolUseId": "t1", "name": "weather", "input": {"city": "Oslo"}}
    called = Piece('{"city": "Oslo"}', "tool_call", id="t1", name="weather")
    assert list(converse_content.read_answer({"output": {"message": {"content": [{"toolUse": use}]}}})) == [called]
    events = [
        ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t1", "name": "weather"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"ci'}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
    ]
    assert [piece for each in events for piece in converse_content.pieces_of(*each)] == [
        Piece("", "tool_call", key=1, id="t1", name="weather"),
        Piece('{"ci', "tool_call", key=1),
        Piece("hm", "reasoning"),
    ]
