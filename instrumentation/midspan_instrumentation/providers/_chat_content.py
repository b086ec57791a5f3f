"""What chat completions were asked and have answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._chat_completions import choices_of
from midspan_instrumentation.providers._fields import field, items, parsed, text, whole
from midspan_instrumentation.providers._messages import Json, message, parts_of, tool_answer, tool_call


def read_prompt(*_: object, messages: object = None, tools: object = None, **_rest: object) -> Prompt:
    """The messages and tools of `chat.completions.create`."""
    return Prompt(
        messages=[_message(each) for each in items(messages)],
        tools=[_tool(each) for each in items(tools)],
    )


def _message(given: object) -> Json:
    role, content = field(given, "role"), field(given, "content")
    if role == "tool":
        return message(role, [tool_answer(field(given, "tool_call_id"), content)])
    parts = [] if content is None else parts_of(content)
    for call in items(field(given, "tool_calls")):
        function = field(call, "function")
        parts.append(tool_call(field(call, "id"), field(function, "name"), field(function, "arguments")))
    return message(role, parts)


def _tool(given: object) -> Json:
    function = field(given, "function")
    found = {name: field(function, name) for name in ("name", "description", "parameters")}
    return {"type": text(field(given, "type")) or "function", **found}


def read_answer(result: object) -> Iterator[Piece]:
    """The messages of a `ChatCompletion`."""
    return _pieces(parsed(result), "message")


def read_pieces(chunk: Any) -> Iterable[Piece]:
    """What is new in a chunk."""
    try:
        (choice,) = chunk.choices
        delta = choice.delta
        # Nearly every chunk ends here: asking a model for fields that it lacks takes ten times as long.
        written = text(delta.content)
        if written and not delta.tool_calls and not delta.model_extra:
            return (Piece(written, choice=whole(choice.index) or 0),)
    except (TypeError, ValueError, AttributeError):
        pass  # not one choice, or an odd one
    return _pieces(chunk, "delta")


def _pieces(answer: object, held_in: str) -> Iterator[Piece]:
    for position, choice in enumerate(choices_of(answer)):
        found = getattr(choice, held_in, None)
        number = whole(getattr(choice, "index", None))
        yield from _new(found, position if number is None else number)


def _new(found: object, choice: int) -> Iterator[Piece]:
    for name, kind in (("reasoning_content", "reasoning"), ("reasoning", "reasoning"), ("content", "text")):
        written = text(field(found, name))
        if written:
            yield Piece(written, kind, choice)
    refusal = text(field(found, "refusal"))
    if refusal:
        yield Piece(refusal, "refusal", choice)
    for position, call in enumerate(items(field(found, "tool_calls"))):
        yield _tool_piece(call, choice, position)


def _tool_piece(call: Any, choice: int, position: int) -> Piece:
    function, number = field(call, "function"), whole(field(call, "index"))
    return Piece(
        text(field(function, "arguments")) or "",
        "tool_call",
        choice,
        key=position if number is None else number,
        id=text(field(call, "id")),
        name=text(field(function, "name")),
    )
