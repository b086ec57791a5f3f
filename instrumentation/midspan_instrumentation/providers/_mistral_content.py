"""What Mistral's models were asked and have answered, for those who have asked for that to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Piece
from midspan_instrumentation.providers import _chat_content
from midspan_instrumentation.providers._chat_completions import choices_of
from midspan_instrumentation.providers._fields import field, items, text, whole


def read_answer(result: object) -> Iterator[Piece]:
    """The messages of a `ChatCompletionResponse`."""
    yield from _chat_content.read_answer(result)
    yield from _parts(result, "message")


def read_pieces(event: Any) -> Iterator[Piece]:
    """What is new in an event."""
    yield from _chat_content.read_pieces(event.data)
    yield from _parts(event.data, "delta")


def _parts(answer: object, held_in: str) -> Iterator[Piece]:
    """Of content that is no text but a list: thinking, and text."""
    for choice in choices_of(answer):
        content = field(field(choice, held_in), "content")
        for part in items(content):
            yield from pieces_of(part, whole(field(choice, "index")) or 0)


def pieces_of(part: object, choice: int = 0, key: int = 0) -> Iterator[Piece]:
    """The text of one part, or the thoughts in it."""
    for thought in items(field(part, "thinking")):
        yield Piece(text(field(thought, "text")) or "", "reasoning", choice, key)
    written = part if isinstance(part, str) else text(field(part, "text"))
    if written:
        yield Piece(written, choice=choice, key=key)
