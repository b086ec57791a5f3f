"""What Ollama was asked and has answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from midspan_instrumentation.provider import Piece, Prompt, replace
from midspan_instrumentation.providers import _chat_content
from midspan_instrumentation.providers._fields import field, items, text
from midspan_instrumentation.providers._messages import function_tool, message, text_part, whole_call


def read_chat_prompt(
    _model: object = None, messages: object = None, *_: object, tools: object = None, **_rest: object
) -> Prompt:
    """The messages and tools of `chat`; a tool may be a function."""
    asked = _chat_content.read_prompt(messages=messages, tools=tools)
    pairs = zip(items(tools), asked.tools, strict=True)
    return replace(asked, tools=[function_tool(each) if callable(each) else made for each, made in pairs])


def read_text_prompt(
    _model: object = None, prompt: object = None, *_: object, system: object = None, **_rest: object
) -> Prompt:
    """The prompt of `generate`, and what the system is told."""
    asked, told = text(prompt), text(system)
    return Prompt(
        messages=[] if asked is None else [message("user", [text_part(asked)])],
        instructions=[text_part(told)] if told else [],
    )


def read_chat_pieces(answer: object) -> Iterator[Piece]:
    """The message of a whole answer, or what is new of it in a chunk."""
    written = field(answer, "message")
    yield from _pieces(field(written, "thinking"), field(written, "content"))
    for call in items(field(written, "tool_calls")):
        function = field(call, "function")
        yield whole_call(None, field(function, "name"), field(function, "arguments"))


def read_text_pieces(answer: object) -> Iterator[Piece]:
    """The same for `generate`."""
    return _pieces(field(answer, "thinking"), field(answer, "response"))


def _pieces(thinking: object, written: object) -> Iterator[Piece]:
    for found, kind in ((text(thinking), "reasoning"), (text(written), "text")):
        if found:
            yield Piece(found, kind)
