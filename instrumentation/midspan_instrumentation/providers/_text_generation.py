"""Reading text generation, as Hugging Face's servers have it: a prompt, and tokens with or without details."""

from __future__ import annotations

from collections.abc import Iterator

from midspan_instrumentation.provider import Piece, Prompt, Reading, Request, Usage, replace
from midspan_instrumentation.providers._fields import Readers, field, given_of, items, number, text, texts, whole
from midspan_instrumentation.providers._messages import message, text_part

_ASKED: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "top_k": ("gen_ai.request.top_k", whole),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", number),
    "seed": ("gen_ai.request.seed", whole),
    "stop": ("gen_ai.request.stop_sequences", texts),
}


def read_request(
    *_: object, model: object = None, stream: object = None, max_new_tokens: object = None, **asked: object
) -> Request:
    """`text_generation`."""
    attributes = given_of(asked, _ASKED)
    return Request(model=text(model), stream=stream is True, max_tokens=whole(max_new_tokens), attributes=attributes)


def read_response(result: object) -> Reading:
    """A text, or one with details; the first part of a stream tells nothing more."""
    details = field(result, "details")
    if details is None:
        return Reading()
    reason = text(field(details, "finish_reason"))
    asked = whole(field(details, "input_length"))
    return Reading(
        finish_reasons=(reason,) if reason else (),
        usage=Usage(
            input=len(items(field(details, "prefill"))) or None if asked is None else asked,
            output=whole(field(details, "generated_tokens")),
        ),
    )


def read_chunk(chunk: object) -> int | Reading:
    """A token's text, or the token; the last one has the details of all."""
    if isinstance(chunk, str):
        return 1 if chunk else 0
    tokens = 1 if _written(chunk) else 0
    return tokens if field(chunk, "details") is None else replace(read_response(chunk), tokens=tokens)


def _written(chunk: object) -> str | None:
    token = field(chunk, "token")
    return None if field(token, "special") else text(field(token, "text"))


def read_prompt(prompt: object = None, *_: object, **_rest: object) -> Prompt:
    """The text to go on with."""
    return Prompt(messages=[message("user", [text_part(prompt)])] if isinstance(prompt, str) else [])


def read_answer(result: object) -> Iterator[Piece]:
    """The text of a whole answer."""
    written = result if isinstance(result, str) else text(field(result, "generated_text"))
    if written:
        yield Piece(written)


def read_pieces(chunk: object) -> Iterator[Piece]:
    """The text of one token."""
    written = chunk if isinstance(chunk, str) else _written(chunk)
    if written:
        yield Piece(written)
