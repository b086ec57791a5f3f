"""Reading the older completions: a prompt, and text."""

from __future__ import annotations

from collections.abc import Iterator

from midspan_instrumentation.provider import Piece, Prompt, Reading
from midspan_instrumentation.providers._chat_completions import choices_of, read_whole_chunk
from midspan_instrumentation.providers._fields import items, parsed, text, whole
from midspan_instrumentation.providers._messages import message, text_part


def read_chunk(chunk: object) -> int | Reading:
    """A chunk of `completions.create`: one token for each choice that has text."""
    return read_whole_chunk(chunk, _has_text)


def _has_text(choice: object) -> bool:
    return bool(getattr(choice, "text", None))


def read_prompt(*_: object, prompt: object = None, **_rest: object) -> Prompt:
    """One prompt, or several; those that are lists of tokens are left out."""
    prompts = [prompt] if isinstance(prompt, str) else items(prompt)
    return Prompt(messages=[message("user", [text_part(each)]) for each in prompts if isinstance(each, str)])


def read_answer(result: object) -> Iterator[Piece]:
    """The texts of a `Completion`, or of a chunk of one."""
    for position, choice in enumerate(choices_of(parsed(result))):
        number, written = whole(getattr(choice, "index", None)), text(getattr(choice, "text", None))
        if written:
            yield Piece(written, choice=position if number is None else number)
