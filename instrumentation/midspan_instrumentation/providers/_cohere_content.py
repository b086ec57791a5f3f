"""What Cohere's models were asked and have answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._fields import field, items, own, text, whole
from midspan_instrumentation.providers._messages import Json, message, parts_of, text_part, whole_call

_ROLES = {"CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool"}


# v2; its messages and tools are those of chat completions.


def read_answer(result: object) -> Iterator[Piece]:
    """The message of an answer."""
    yield from _pieces(own(result, "message"), 0)


def read_pieces(event: Any) -> Iterator[Piece]:
    """What is new in an event."""
    yield from _pieces(field(own(event, "delta"), "message"), whole(own(event, "index")) or 0)


def _pieces(found: object, key: int) -> Iterator[Piece]:
    planned = text(field(found, "tool_plan"))
    if planned:
        yield Piece(planned, "reasoning", key=key)
    # A whole answer has lists, an event has the one that it is about.
    for offset, part in enumerate(_each(field(found, "content"))):
        yield from _written(part, key + offset)
    for offset, call in enumerate(_each(field(found, "tool_calls"))):
        yield _tool_call(call, key + offset)


def _each(value: object) -> Sequence[object]:
    return items(value) or (() if value is None or isinstance(value, (list, tuple)) else (value,))


def _written(part: object, key: int) -> Iterator[Piece]:
    for name, kind in (("thinking", "reasoning"), ("text", "text")):
        written = text(field(part, name))
        if written:
            yield Piece(written, kind, key=key)


def _tool_call(call: object, key: int) -> Piece:
    function = field(call, "function")
    arguments = text(field(function, "arguments")) or ""
    return Piece(arguments, "tool_call", key=key, id=text(field(call, "id")), name=text(field(function, "name")))


# v1.


def read_prompt_v1(
    *_: object,
    message: object = None,
    preamble: object = None,
    chat_history: object = None,
    tools: object = None,
    **_rest: object,
) -> Prompt:
    """The message of `chat`, what was said before, and what is told apart from it."""
    told = text(preamble)
    said = [_said(field(each, "role"), field(each, "message")) for each in items(chat_history)]
    return Prompt(
        messages=[*said, _said("USER", message)],
        instructions=[] if told is None else [text_part(told)],
        tools=[_tool(each) for each in items(tools)],
    )


def _said(role: object, content: object) -> Json:
    return message(_ROLES.get(text(role) or "", "user"), parts_of(content))


def _tool(given: object) -> Json:
    found = {name: field(given, name) for name in ("name", "description")}
    return {"type": "function", **found, "parameters": field(given, "parameter_definitions")}


def read_answer_v1(result: object) -> Iterator[Piece]:
    """The text of an answer, and the calls of tools."""
    yield from read_transcript(result)
    for call in items(own(result, "tool_calls")):
        yield whole_call(None, field(call, "name"), field(call, "parameters"))


def read_pieces_v1(event: Any) -> Iterator[Piece]:
    """What is new in an event; the deltas of tool calls are repeated whole."""
    if getattr(event, "event_type", None) in ("text-generation", "tool-calls-generation"):
        yield from read_answer_v1(event)


def read_generations(result: object) -> Iterator[Piece]:
    """The texts of a `Generation`."""
    for choice, each in enumerate(items(own(result, "generations"))):
        yield Piece(text(field(each, "text")) or "", choice=choice)


def read_generated(event: Any) -> Iterator[Piece]:
    """What is new in an event of `generate_stream`."""
    if getattr(event, "event_type", None) == "text-generation":
        yield Piece(text(own(event, "text")) or "", choice=whole(own(event, "index")) or 0)


# Both.


def read_query(*_: object, query: object = None, inputs: object = None, **_rest: object) -> Prompt:
    """What `rerank` looks for, or what `classify` is given."""
    asked = (query, *items(inputs))
    return Prompt(messages=[message("user", [text_part(each)]) for each in asked if isinstance(each, str)])


def read_transcript(result: object) -> Iterator[Piece]:
    """What was heard."""
    written = text(own(result, "text"))
    if written:
        yield Piece(written)


def read_pages(result: object) -> Iterator[Piece]:
    """The text of each page of a document, as a part of its own; of one in blocks that of its blocks."""
    for key, page in enumerate(items(own(result, "pages"))):
        for part in (field(page, "markdown"), *(field(block, "text") for block in items(field(page, "blocks")))):
            written = text(field(part, "content"))
            if written:
                yield Piece(written, key=key)
