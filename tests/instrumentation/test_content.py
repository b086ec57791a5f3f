"""What is kept of a call's content when the application has asked for it: through the SDK, streamed and not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from msgspec.structs import force_setattr

from midspan.core import failures
from midspan.core.content import Capture, Content, Prompt
from midspan.core.operation import Status
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation import _content
from midspan_instrumentation.provider import no_pieces
from midspan_instrumentation.providers import _chat_content as reader
from midspan_instrumentation.providers.openai import PROVIDER
from tests.fakes.openai_calls import ANSWERS, MESSAGES, PROMPT, STREAMS, Case
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.instrumentation.conftest import MakeAsync

TEXT = "".join(CONTENT)
SAID = {"role": "assistant", "parts": [{"type": "text", "content": TEXT}]}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]
WITH_CONTENT = [case for case in (*STREAMS, *ANSWERS) if case.name.startswith(("chat", "completions", "responses"))]


def content_of(seen: Captured) -> Content:
    (state,) = seen._states
    assert state.content is not None
    return state.content


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("case", WITH_CONTENT, ids=str)
def test_prompt_and_answer_of_every_target_are_kept(case: Case, client: openai.OpenAI, seen: Captured) -> None:
    result = case.call(client, "ok")
    if case in STREAMS:
        with result as stream:
            list(stream)
    expected = '{"answer": "It works."}' if case.name.endswith("parse") else TEXT
    kept = content_of(seen).attributes(())
    assert kept["gen_ai.input.messages"] == ASKED
    assert kept["gen_ai.output.messages"][0]["parts"][0]["content"] == expected
    (operation,) = seen.operations
    assert (operation.status, operation.content_preview, operation.result) == (Status.COMPLETED, expected, expected)


@pytest.mark.usefixtures("capturing")
def test_an_async_stream_is_kept_as_it_comes(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> list[str | None]:
        async with make_async() as client:
            stream = await client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
            return [seen.operations[0].content_preview async for _ in stream]

    assert asyncio.run(run()) == [PROMPT, "It", "It works", TEXT, TEXT]


@pytest.mark.usefixtures("capturing")
def test_a_raw_response_is_read_too(client: openai.OpenAI, seen: Captured) -> None:
    client.chat.completions.with_raw_response.create(model="ok", messages=MESSAGES)
    assert content_of(seen).answer() == TEXT


@pytest.mark.usefixtures("capturing")
def test_a_refused_call_keeps_what_was_asked_and_what_the_server_said(client: openai.OpenAI, seen: Captured) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="echoing", messages=MESSAGES)
    (operation,) = seen.operations
    assert operation.error is not None
    assert (operation.content_preview, operation.result) == (PROMPT, None)
    assert PROMPT in (operation.error.message or "")


@pytest.mark.usefixtures("capturing")
def test_an_iterator_of_messages_is_left_to_the_sdk(client: openai.OpenAI, seen: Captured, server: FakeOpenAI) -> None:
    client.chat.completions.create(model="ok", messages=iter(MESSAGES))
    assert server.requests[-1]["messages"] == MESSAGES
    assert "gen_ai.input.messages" not in content_of(seen).attributes(())


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError("ours")


def fail_later(_: object) -> Iterator[Any]:
    raise RuntimeError("ours")
    yield


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize(("part", "count"), [("read_prompt", 2), ("read_answer", 1), ("read_pieces", 1)])
def test_a_reader_of_content_that_fails_changes_nothing_and_counts_go_on(
    part: str,
    count: int,
    client: openai.OpenAI,
    seen: Captured,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    target = next(each for each in PROVIDER.targets if each.qualname == "Completions.create")
    with replaced(target, part, fail_later if part == "read_pieces" else fail):
        assert client.chat.completions.create(model="ok", messages=MESSAGES).choices[0].message.content == TEXT
        assert len(list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True))) == 5
    assert [(each.status, each.chunks) for each in seen.operations] == [("completed", None), ("completed", 5)]
    assert failures.counts()["content"] == count
    assert len([record for record in caplog.records if "content" in record.getMessage()]) == 1


class replaced:  # noqa: N801 - used as a function
    """Inside, a frozen table has another reader."""

    def __init__(self, target: Any, name: str, reader: Callable[..., Any]) -> None:
        self._target, self._name, self._reader = target, name, reader

    def __enter__(self) -> None:
        self._before = getattr(self._target, self._name)
        force_setattr(self._target, self._name, self._reader)

    def __exit__(self, *_: object) -> None:
        force_setattr(self._target, self._name, self._before)


def test_without_the_switch_the_chunks_are_read_by_the_targets_own_reader(
    client: openai.OpenAI, seen: Captured
) -> None:
    """Nothing is in the way of a chunk, and nothing is held."""
    client.chat.completions.create(model="ok", messages=MESSAGES)
    (state,) = seen._states
    target = next(each for each in PROVIDER.targets if each.qualname == "Completions.create")
    tracker = get_progress_registry().create_tracker()
    assert _content.chunk_reader(tracker, target) is target.read_chunk  # type: ignore[arg-type]
    assert (state.content, state.preview, state.result) == (None, None, None)


# --- what the readers read ------------------------------------------------------------------------


def test_parts_of_every_kind_have_the_conventions_form() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
    messages = [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_id": "f"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a ship"},
        None,
    ]
    tool = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}
    prompt = reader.read_prompt(messages=messages, tools=[tool])
    assert prompt.messages == [
        {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""},
                {"type": "blob", "modality": "audio", "mime_type": None, "content": ""},
                {"type": "file"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"at": "sea"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "a ship"}]},
        {"role": "user", "parts": []},
    ]
    assert prompt.tools == [{"type": "function", "name": "look", "description": "Looks.", "parameters": {}}]


def test_messages_may_be_objects_of_the_sdk(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="ok", messages=MESSAGES).choices[0].message
    assert reader.read_prompt(messages=[answer]).messages == [SAID]


def test_pieces_of_a_tool_call_are_told_apart_by_their_index() -> None:
    from tests.instrumentation.providers.test_openai import choice, chunk

    calls = [
        {"index": 1, "id": "call_2", "function": {"name": "look", "arguments": ""}},
        {"index": None, "function": None},
    ]
    pieces = list(reader.read_pieces(chunk(choices=[choice(content="a", tool_calls=calls, index=2)])))
    assert [(each.kind, each.text, each.choice, each.key, each.name) for each in pieces] == [
        ("text", "a", 2, 0, None),
        ("tool_call", "", 2, 1, "look"),
        ("tool_call", "", 2, 1, None),
    ]


@pytest.mark.skipif(
    not any(case.name == "responses.create" for case in ANSWERS), reason="this version of the SDK has no responses"
)
def test_the_items_of_a_response_are_messages_tools_and_reasoning() -> None:
    from openai.types.responses import Response

    from midspan_instrumentation.providers import _responses_content as responses

    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "yes"}, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
    ]
    result = Response.construct(**json.loads(json.dumps({"output": items})))
    assert [(each.kind, each.text) for each in responses.read_answer(result)] == [
        ("reasoning", "hm"), ("text", "yes"), ("refusal", "no"), ("tool_call", "{}")
    ]  # fmt: skip
    history = [
        {"role": "user", "content": "Look!"},
        items[2],
        {"type": "function_call_output", "call_id": "c", "output": "a ship"},
        {"type": "item_reference", "id": "i"},
    ]
    prompt = responses.read_prompt(input=history, instructions="Be kind.", tools=[{"type": "web_search"}])
    assert [each["role"] for each in prompt.messages] == ["user", "assistant", "tool", "user"]
    assert [each["parts"][0]["type"] for each in prompt.messages] == [
        "text", "tool_call", "tool_call_response", "item_reference"
    ]  # fmt: skip
    assert prompt.instructions == [{"type": "text", "content": "Be kind."}]
    assert prompt.tools == [{"type": "web_search", "name": "web_search", "description": None, "parameters": None}]


def test_a_tool_call_in_a_stream_of_responses_has_its_name_before_its_arguments() -> None:
    from midspan_instrumentation.providers import _responses_content as responses

    item = {"type": "function_call", "call_id": "c", "name": "look"}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 1, "item": item},
        {"type": "response.output_item.added", "output_index": 2, "item": {"type": "message"}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{"},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "}"},
        {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": "{}"},
    ]
    content = Content(Capture(span=True), Prompt())
    for event in events:
        for piece in responses.read_pieces(event):
            content.add(piece)
    (answer,) = content.attributes(())["gen_ai.output.messages"]
    assert answer["parts"] == [{"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"}]


@pytest.mark.parametrize("odd", [None, 7, "x", {}, object()])
def test_odd_answers_have_no_pieces(odd: object) -> None:
    for target in PROVIDER.targets:
        if isinstance(odd, str) and target.operation in ("transcription", "translation"):
            continue  # which may be nothing but their text
        assert list(target.read_answer(odd)) == list(target.read_pieces(odd)) == []
    assert no_pieces(odd) == ()
