"""Reading what Mistral has recognised: documents page by page, and speech, also as a stream of events; and what it has
spoken or judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Piece, Prompt, Reading, replace
from midspan_instrumentation.providers import _moderations
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import field, items, own, text


def read_pages(result: object) -> Reading:
    """An `OCRResponse`."""
    return Reading(model=text(own(result, "model")))


def read_pages_content(result: object) -> Iterator[Piece]:
    """The text of each page, as a part of its own."""
    for key, page in enumerate(items(field(result, "pages"))):
        yield Piece(text(field(page, "markdown")) or "", key=key)


def read_transcript(result: object) -> Reading:
    """A `TranscriptionResponse`, or the event of a stream that says the same at its end."""
    return Reading(
        model=text(own(result, "model")),
        usage=read_usage(own(result, "usage"), "prompt", "completion"),
    )


def read_event(event: Any) -> int | Reading:
    """Each delta is one token; the last event has the usage."""
    kind = getattr(event.data, "type", None)
    if kind == "transcription.text.delta":
        return 1
    return replace(read_transcript(event.data), is_last=True) if kind == "transcription.done" else 0


def read_transcript_content(told: object) -> Iterator[Piece]:
    """What was heard: all of it, or what is new in an event."""
    event = own(told, "data") or told
    written = text(field(event, "text"))
    if written and field(event, "type") in (None, "transcription.text.delta"):
        yield Piece(written)


def read_spoken(event: Any) -> int | Reading:
    """An event of speech: sound is no token; the last one has the usage."""
    is_last = getattr(event.data, "type", None) == "speech.audio.done"
    return replace(read_transcript(event.data), is_last=True) if is_last else 0


def read_judged(*_: object, inputs: object = None, **_rest: object) -> Prompt:
    """What is to be moderated or classified."""
    return _moderations.read_prompt(input=inputs)
