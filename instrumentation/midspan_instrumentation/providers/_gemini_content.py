"""What Gemini was asked and has answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from midspan_instrumentation.provider import Piece, Prompt
from midspan_instrumentation.providers._fields import field, items, text, whole
from midspan_instrumentation.providers._messages import (
    Json,
    function_tool,
    message,
    text_part,
    tool_answer,
    tool_call,
    whole_call,
)

_ROLES = {"model": "assistant"}


def read_prompt(*_: object, contents: object = None, config: object = None, **_rest: object) -> Prompt:
    """The contents of `generate_content`, its system instruction and its tools."""
    instruction = field(config, "system_instruction")
    return Prompt(
        messages=[_message(each) for each in _several(contents)],
        instructions=[part for each in _several(instruction) for part in _parts(each)],
        tools=[tool for given in items(field(config, "tools")) for tool in _tools(given)],
    )


def _several(given: object) -> Iterable[object]:
    """Applications give a list, or the only item of one."""
    several = items(given)
    return several if several or given is None or given == [] else [given]


def _message(content: object) -> Json:
    role = text(field(content, "role"))
    return message(_ROLES.get(role or "", role), [*_parts(content)])


def _parts(content: object) -> Iterator[Json]:
    """Those of a content; a text and a single part are contents too."""
    if isinstance(content, str):
        yield text_part(content)
        return
    parts = field(content, "parts")
    for part in [content] if parts is None else items(parts):
        yield text_part(part) if isinstance(part, str) else _part(part)


def _part(part: object) -> Json:
    written, called = text(field(part, "text")), field(part, "function_call")
    if written is not None:
        return {"type": "reasoning", "content": written} if field(part, "thought") else text_part(written)
    if called is not None:
        return tool_call(field(called, "id"), field(called, "name"), field(called, "args"))
    answered = field(part, "function_response")
    if answered is not None:
        return tool_answer(field(answered, "id"), field(answered, "response"))
    return _data(field(part, "inline_data"), field(part, "file_data"))


def _data(inline: object, file: object) -> Json:
    """An image, a sound or a document: where it is, or that it was there."""
    kind = text(field(file if inline is None else inline, "mime_type"))
    described = {"modality": (kind or "unknown").partition("/")[0], "mime_type": kind}
    if inline is not None:
        return {"type": "blob", **described, "content": ""}
    uri = text(field(file, "file_uri"))
    return {"type": "unknown"} if uri is None else {"type": "uri", **described, "uri": uri}


def _tools(given: object) -> Iterator[Json]:
    if callable(given):
        yield function_tool(given)
    for declared in items(field(given, "function_declarations")):
        found = {name: field(declared, name) for name in ("name", "description")}
        yield {"type": "function", **found, "parameters": _schema(declared)}


def _schema(declared: object) -> object:
    found: Any = field(declared, "parameters")
    if found is None:
        return field(declared, "parameters_json_schema")
    return cast("object", found) if isinstance(found, Mapping) else found.model_dump(mode="json", exclude_none=True)


def read_pieces(answer: object) -> Iterator[Piece]:
    """The candidates of a whole answer, or what is new in a chunk."""
    for position, candidate in enumerate(items(field(answer, "candidates"))):
        number = whole(field(candidate, "index"))
        for part in items(field(field(candidate, "content"), "parts")):
            yield from _pieces(part, position if number is None else number)


def _pieces(part: object, choice: int) -> Iterator[Piece]:
    written, called = text(field(part, "text")), field(part, "function_call")
    if written:
        yield Piece(written, "reasoning" if field(part, "thought") else "text", choice)
    if called is not None:
        yield whole_call(field(called, "id"), field(called, "name"), field(called, "args"), choice)
