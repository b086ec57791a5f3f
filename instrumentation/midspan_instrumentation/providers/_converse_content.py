"""What Bedrock's `Converse` was asked and has answered, for those who have asked for that to be kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._converse import carried_by
from midspan_instrumentation.providers._fields import field, fields_of, items, text, whole
from midspan_instrumentation.providers._messages import Json, message, text_part, tool_answer, tool_call

if TYPE_CHECKING:
    from botocore.eventstream import EventStreamMessage  # pyright: ignore[reportMissingTypeStubs]

_MEDIA = ("image", "audio", "video")


def read_prompt(_operation_name: str, api_params: object) -> Prompt:
    """The messages, system prompt and tools of `converse` and `converse_stream`."""
    return Prompt(
        messages=[_message(each) for each in items(field(api_params, "messages"))],
        instructions=[part for each in items(field(api_params, "system")) for part in _parts(each)],
        tools=[_tool(each) for each in items(field(field(api_params, "toolConfig"), "tools"))],
    )


def _message(given: object) -> Json:
    return message(field(given, "role"), [part for each in items(field(given, "content")) for part in _parts(each)])


def _parts(block: object) -> Iterator[Json]:
    called, answered = field(block, "toolUse"), field(block, "toolResult")
    written, thought = text(field(block, "text")), _thought(block)
    if written is not None:
        yield text_part(written)
    elif thought is not None:
        yield {"type": "reasoning", "content": thought}
    elif called is not None:
        yield tool_call(field(called, "toolUseId"), field(called, "name"), field(called, "input"))
    elif answered is not None:
        parts = [part for each in items(field(answered, "content")) for part in _result(each)]
        yield tool_answer(field(answered, "toolUseId"), parts)
    else:
        yield from (_other(name, each) for name, each in fields_of(block).items())


def _other(name: str, found: object) -> Json:
    """A part of another kind, without its data."""
    if name not in _MEDIA:
        return {"type": name}
    return {"type": "blob", "modality": name, "mime_type": f"{name}/{field(found, 'format')}", "content": ""}


def _thought(block: object) -> str | None:
    """What a model has thought: whole answers have a text inside, streams have none."""
    found = field(block, "reasoningContent")
    return text(field(field(found, "reasoningText"), "text")) or text(field(found, "text"))


def _result(block: object) -> Iterator[Json]:
    told = field(block, "json")
    return _parts(block) if told is None else iter([{"type": "json", "content": told}])


def _tool(given: object) -> Json:
    found = field(given, "toolSpec")
    named = {"name": field(found, "name"), "description": field(found, "description")}
    return {"type": "function", **named, "parameters": field(field(found, "inputSchema"), "json")}


def read_answer(result: object) -> Iterator[Piece]:
    """The blocks of the message that `converse` has answered with."""
    for key, block in enumerate(items(field(field(field(result, "output"), "message"), "content"))):
        yield from _written(block, key)
        called = field(block, "toolUse")
        if called is not None:
            yield _called(called, json.dumps(field(called, "input"), default=vars), key)


def read_pieces(message: EventStreamMessage) -> Iterable[Piece]:
    """What is new in an event of `converse_stream`."""
    return pieces_of(text(cast("Json", message.headers).get(":event-type")) or "", carried_by(message))


def pieces_of(kind: str, fields: object) -> Iterator[Piece]:
    """What is new in an event: a delta, or the tool call that the deltas to come are of."""
    key, delta = whole(field(fields, "contentBlockIndex")) or 0, field(fields, "delta")
    if kind == "contentBlockStart":
        called = field(field(fields, "start"), "toolUse")
        if called is not None:
            yield _called(called, "", key)
    elif kind == "contentBlockDelta":
        yield from _written(delta, key)
        asked = text(field(field(delta, "toolUse"), "input"))
        if asked:
            yield Piece(asked, "tool_call", key=key)


def _written(block: object, key: int) -> Iterator[Piece]:
    written, thought = text(field(block, "text")), _thought(block)
    if thought:
        yield Piece(thought, "reasoning", key=key)
    if written:
        yield Piece(written, key=key)


def _called(called: object, arguments: str, key: int) -> Piece:
    return Piece(arguments, "tool_call", key=key, id=text(field(called, "toolUseId")), name=text(field(called, "name")))
