"""Reading Mistral's conversations: what an agent was told and has answered, as entries, and as a stream of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Failure, Piece, Prompt, Reading, Request, replace
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import field, fields_of, items, own, text, whole
from midspan_instrumentation.providers._messages import (
    Json,
    message,
    parts_of,
    text_part,
    tool_answer,
    tool_call,
)
from midspan_instrumentation.providers._mistral import read_request as read_completion_request
from midspan_instrumentation.providers._mistral_content import pieces_of


def read_request(*_: object, completion_args: object = None, **asked: object) -> Request:
    """`conversations.start`, `.append` and `.restart`."""
    return read_completion_request(**{**asked, **fields_of(completion_args)})


def read_response(result: object) -> Reading:
    """A `ConversationResponse`, or the first event of a stream, which says nothing of these."""
    models = (text(field(entry, "model")) for entry in items(own(result, "outputs")))
    return Reading(
        model=next((model for model in models if model), None),
        usage=read_usage(own(result, "usage"), "prompt", "completion"),
    )


def read_event(event: Any) -> int | Reading:
    """Each delta is one token; the last event has the usage."""
    kind = getattr(event.data, "type", None)
    if kind in ("message.output.delta", "function.call.delta"):
        return 1
    if kind == "conversation.response.done":
        return replace(read_response(event.data), is_last=True)
    if kind == "conversation.response.error":
        return Reading(failure=Failure(str(event.data.code), text(event.data.message)))
    return 0


def read_prompt(*_: object, inputs: object = None, instructions: object = None, **_rest: object) -> Prompt:
    """The inputs, and what the agent is told beside them."""
    told = text(instructions)
    entries = (
        [message("user", parts_of(inputs))] if isinstance(inputs, str) else [_entry(each) for each in items(inputs)]
    )
    return Prompt(messages=entries, instructions=[] if told is None else [text_part(told)])


def _entry(given: object) -> Json:
    kind, call_id = text(field(given, "type")), field(given, "tool_call_id")
    if kind == "function.call":
        return message("assistant", [tool_call(call_id, field(given, "name"), field(given, "arguments"))])
    if kind == "function.result":
        return message("tool", [tool_answer(call_id, field(given, "result"))])
    return message(field(given, "role"), parts_of(field(given, "content")))


def read_answer(result: object) -> Iterator[Piece]:
    """The entries of a `ConversationResponse`."""
    for key, entry in enumerate(items(field(result, "outputs"))):
        yield from _pieces(entry, key)


def read_pieces(event: Any) -> Iterator[Piece]:
    """What is new in an event."""
    yield from _pieces(event.data, whole(field(event.data, "output_index")) or 0)


def _pieces(entry: object, key: int) -> Iterator[Piece]:
    if text(field(entry, "type")) in ("function.call", "function.call.delta"):
        arguments, call_id = text(field(entry, "arguments")) or "", text(field(entry, "tool_call_id"))
        yield Piece(arguments, "tool_call", key=key, id=call_id, name=text(field(entry, "name")))
        return
    content = field(entry, "content")
    for part in (content,) if isinstance(content, str) else items(content) or (content,):
        yield from pieces_of(part, key=key)
