"""Messages as the GenAI conventions write them: roles with parts, as plain JSON values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Piece
from midspan_instrumentation.providers._fields import field, items, text

Json = dict[str, Any]


def message(role: object, parts: list[Json]) -> Json:
    """A message of the chat history."""
    return {"role": text(role) or "user", "parts": parts}


def text_part(content: str) -> Json:
    """What was written."""
    return {"type": "text", "content": content}


def tool_call(call_id: object, name: object, arguments: object) -> Json:
    """A tool that the model asks for; its arguments as the object that they are, if they are one."""
    return {"type": "tool_call", "id": text(call_id), "name": text(name) or "", "arguments": as_object(arguments)}


def tool_answer(call_id: object, response: object) -> Json:
    """What a tool has answered."""
    return {"type": "tool_call_response", "id": text(call_id), "response": response}


def whole_call(call_id: object, name: object, arguments: object, choice: int = 0) -> Piece:
    """A tool call that arrives in one piece, with no number: what it says tells it from others."""
    said = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    called, named = text(call_id), text(name)
    return Piece(said, "tool_call", choice, key=hash((called, named, said)), id=called, name=named)


def function_tool(function: object) -> Json:
    """A function of the application, given as a tool: the SDK makes the declaration of it."""
    return {"type": "function", "name": field(function, "__name__"), "description": field(function, "__doc__")}


def as_object(arguments: object) -> object:
    """The object that a JSON text holds; the value itself when it is no such text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def parts_of(content: object) -> list[Json]:
    """The parts of a message's content: a text, or a list of typed items. Binary data is left out."""
    if isinstance(content, str):
        return [text_part(content)]
    return [part for item in items(content) for part in _parts_of_item(item)]


def _parts_of_item(item: object) -> Iterator[Json]:
    written = item if isinstance(item, str) else text(field(item, "text")) or text(field(item, "refusal"))
    kind = text(field(item, "type")) or "unknown"
    if written is not None:
        yield text_part(written)
    elif "image" in kind:
        yield _image(field(item, "image_url"))
    elif "audio" in kind:
        yield {"type": "blob", "modality": "audio", "mime_type": None, "content": ""}
    else:
        yield {"type": kind}


def _image(found: object) -> Json:
    url = text(found) or text(field(found, "url")) or ""
    if url.startswith("data:"):
        mime_type = url[5:].partition(";")[0]
        return {"type": "blob", "modality": "image", "mime_type": mime_type, "content": ""}
    return {"type": "uri", "modality": "image", "uri": url}
