"""What Anthropic's messages were asked and have answered, for those who have asked for that to be kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._claude import message_of
from midspan_instrumentation.providers._fields import field, items, text, whole
from midspan_instrumentation.providers._messages import Json, message, parts_of, tool_answer, tool_call


def read_prompt(
    *_: object, messages: object = None, system: object = None, tools: object = None, **_rest: object
) -> Prompt:
    """The messages, system prompt and tools of `messages.create`."""
    return Prompt(
        messages=[_message(each) for each in items(messages)],
        instructions=parts_of(system),
        tools=[_tool(each) for each in items(tools)],
    )


def _message(given: object) -> Json:
    content = field(given, "content")
    blocks = (content,) if isinstance(content, str) else items(content)
    return message(field(given, "role"), [part for block in blocks for part in _parts(block)])


def _parts(block: object) -> list[Json]:
    kind = field(block, "type")
    if kind == "tool_use":
        return [tool_call(field(block, "id"), field(block, "name"), field(block, "input"))]
    if kind == "tool_result":
        return [tool_answer(field(block, "tool_use_id"), field(block, "content"))]
    thought = text(field(block, "thinking"))
    return parts_of([block]) if thought is None else [{"type": "reasoning", "content": thought}]


def _tool(given: object) -> Json:
    found = {"name": field(given, "name"), "description": field(given, "description")}
    return {"type": "function", **found, "parameters": field(given, "input_schema")}


_DELTAS = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "reasoning")}
"""Type of a delta → the field with what is new, and its kind."""


def read_pieces(event: object) -> Iterable[Piece]:
    """What is new in an event: a delta, or the tool call that the deltas to come are of."""
    kind, key = field(event, "type"), whole(field(event, "index")) or 0
    if kind == "content_block_start":
        block = field(event, "content_block")
        # Its input is empty: it comes in deltas.
        return (_called(block, key, ""),) if field(block, "type") == "tool_use" else ()
    delta = field(event, "delta") if kind == "content_block_delta" else None
    if field(delta, "type") == "input_json_delta":
        return (Piece(text(field(delta, "partial_json")) or "", "tool_call", key=key),)
    name, piece = _DELTAS.get(text(field(delta, "type")) or "", ("", ""))
    written = text(field(delta, name))
    return (Piece(written, piece, key=key),) if written else ()


def read_answer(result: object) -> Iterator[Piece]:
    """The blocks of a `Message`."""
    for key, block in enumerate(items(getattr(message_of(result), "content", None))):
        written, thought = text(field(block, "text")), text(field(block, "thinking"))
        if field(block, "type") == "tool_use":
            yield _called(block, key, json.dumps(_plain(field(block, "input"))))
        elif thought:
            yield Piece(thought, "reasoning", key=key)
        elif written:
            yield Piece(written, key=key)


def _plain(given: object) -> object:
    """A raw response is read into objects."""
    return {name: _plain(value) for name, value in vars(given).items()} if hasattr(given, "__dict__") else given


def _called(block: object, key: int, arguments: str) -> Piece:
    return Piece(arguments, "tool_call", key=key, id=text(field(block, "id")), name=text(field(block, "name")))
