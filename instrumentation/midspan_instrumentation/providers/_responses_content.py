"""What responses were asked and have answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._fields import field, items, text, whole
from midspan_instrumentation.providers._messages import (
    Json,
    message,
    parts_of,
    text_part,
    tool_answer,
    tool_call,
)
from midspan_instrumentation.providers._responses import response_of


def read_prompt(
    *_: object,
    input: object = None,  # noqa: A002 - the SDK's word
    instructions: object = None,
    tools: object = None,
    **_rest: object,
) -> Prompt:
    """The input, instructions and tools of `responses.create`."""
    told = text(instructions)
    history = [message("user", parts_of(input))] if isinstance(input, str) else [_item(each) for each in items(input)]
    return Prompt(
        messages=history,
        instructions=[] if told is None else [text_part(told)],
        tools=[_tool(each) for each in items(tools)],
    )


def _item(given: object) -> Json:
    kind = text(field(given, "type"))
    if kind == "function_call":
        arguments = field(given, "arguments")
        return message("assistant", [tool_call(field(given, "call_id"), field(given, "name"), arguments)])
    if kind == "function_call_output":
        return message("tool", [tool_answer(field(given, "call_id"), field(given, "output"))])
    content = field(given, "content")
    return message(field(given, "role"), [{"type": kind or "unknown"}] if content is None else parts_of(content))


def _tool(given: object) -> Json:
    kind = text(field(given, "type")) or "function"
    found = {name: field(given, name) for name in ("name", "description", "parameters")}
    return {"type": kind, **found, "name": found["name"] or kind}


_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "tool_call",
}


def read_pieces(event: object) -> Iterator[Piece]:
    """What is new in an event: a delta, or the tool call that the deltas to come are of."""
    kind, key = text(field(event, "type")), whole(field(event, "output_index")) or 0
    if kind in _DELTAS:
        yield Piece(text(field(event, "delta")) or "", _DELTAS[kind], key=key)
    elif kind == "response.output_item.added":
        item = field(event, "item")
        if field(item, "type") == "function_call":
            yield _called(item, key, "")


def read_answer(result: object) -> Iterator[Piece]:
    """The items of a `Response`."""
    for key, item in enumerate(items(getattr(response_of(result), "output", None))):
        if field(item, "type") == "function_call":
            yield _called(item, key, text(field(item, "arguments")) or "")
        else:
            yield from _written(item, key)


def _called(item: object, key: int, arguments: str) -> Piece:
    return Piece(arguments, "tool_call", key=key, id=text(field(item, "call_id")), name=text(field(item, "name")))


def _written(item: object, key: int) -> Iterator[Piece]:
    is_reasoning = field(item, "type") == "reasoning"
    for part in (*items(field(item, "content")), *items(field(item, "summary"))):
        written, refused = text(field(part, "text")), text(field(part, "refusal"))
        if written:
            yield Piece(written, "reasoning" if is_reasoning else "text", key=key)
        elif refused:
            yield Piece(refused, "refusal", key=key)
