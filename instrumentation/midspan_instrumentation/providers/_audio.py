"""Reading speech and transcriptions, as OpenAI's API has them and Groq's too. Of the sound itself nothing is read."""

from __future__ import annotations

from collections.abc import Iterator

from midspan_instrumentation.provider import Piece, Prompt, Reading, Request, Target, replace
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import field, number, parsed, seconds, text
from midspan_instrumentation.providers._messages import message, text_part


def read_request(
    *_: object,
    model: object = None,
    stream: object = None,
    temperature: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`transcriptions.create`, `translations.create` and `speech.create`."""
    heat = None if temperature is None else number(temperature)
    return Request(
        model=text(model),
        stream=stream is True,
        timeout=seconds(timeout),
        attributes={} if heat is None else {"gen_ai.request.temperature": heat},
    )


def read_transcription(result: object) -> Reading:
    """A `Transcription`, or the text that it is where no JSON was asked for."""
    return Reading(usage=read_usage(getattr(parsed(result), "usage", None), "input", "output"))


def read_sound(_answer: object) -> Reading:
    """Speech is bytes: how many, the transport sees."""
    return Reading()


def read_event(event: object) -> int | Reading:
    """Each delta is one token; the last event has all of the text."""
    kind = text(getattr(event, "type", None)) or ""
    if kind.endswith(".delta"):
        return 1
    return replace(read_transcription(event), is_last=True) if kind.endswith(".done") else 0


def read_prompt(
    *_: object,
    prompt: object = None,
    input: object = None,  # noqa: A002 - the SDK's word
    **_rest: object,
) -> Prompt:
    """The hint for a transcription; the text to be spoken."""
    asked = text(prompt) or text(input)
    return Prompt(messages=[] if asked is None else [message("user", [text_part(asked)])])


def read_answer(result: object) -> Iterator[Piece]:
    """The text of a transcription."""
    written = result if isinstance(result, str) else text(field(parsed(result), "text"))
    if written:
        yield Piece(written)


def read_pieces(event: object) -> Iterator[Piece]:
    """What is new in an event."""
    written = text(field(event, "delta"))
    if written:
        yield Piece(written)


def targets(package: str) -> tuple[Target, ...]:
    """The three of an SDK that Stainless has made."""
    transcription = Target(
        module=f"{package}.resources.audio.transcriptions",
        qualname="Transcriptions.create",
        operation="transcription",
        operation_type="audio",
        read_request=read_request,
        read_response=read_transcription,
        read_chunk=read_event,
        read_prompt=read_prompt,
        read_answer=read_answer,
        read_pieces=read_pieces,
        end_mark=b'"type":"transcript.text.done"',
        optional=True,
    )
    translation = replace(
        transcription,
        module=f"{package}.resources.audio.translations",
        qualname="Translations.create",
        operation="translation",
    )
    speech = Target(
        module=f"{package}.resources.audio.speech",
        qualname="Speech.create",
        operation="speech",
        operation_type="audio",
        read_request=read_request,
        read_response=read_sound,
        read_prompt=read_prompt,
        optional=True,
    )
    return transcription, translation, speech
