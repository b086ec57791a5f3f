"""Reading the answers of models on Bedrock that continue a text: Titan, Llama, Cohere's and Mistral's older ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from midspan_instrumentation.provider import Piece, Reading, Usage
from midspan_instrumentation.providers._fields import fields_of, items, text, whole

Fields = Mapping[str, object]

_HOLDERS = ("results", "outputs", "generations")
_TEXTS = ("outputText", "generation", "text", "completion")
_REASONS = ("completionReason", "stop_reason", "finish_reason")
_ASKED_TOKENS = ("inputTextTokenCount", "prompt_token_count")
_TOLD_TOKENS = ("totalOutputTextTokenCount", "generation_token_count")


def _holders(fields: Fields) -> list[Fields]:
    return [fields_of(each) for name in _HOLDERS if name in fields for each in items(fields[name])] or [fields]


def _first(fields: Fields, names: tuple[str, ...]) -> object:
    for name in names:
        value = fields.get(name)
        if value is not None:
            return value
    return None


def read(body: object) -> Reading:
    """A whole answer: of how many tokens, and why it has ended."""
    fields = fields_of(body)
    holders = _holders(fields)
    asked, told = whole(_first(fields, _ASKED_TOKENS)), whole(_first(fields, _TOLD_TOKENS))
    counts = [count for each in holders if (count := whole(each.get("tokenCount"))) is not None]
    told = sum(counts) if told is None and counts else told
    return Reading(
        finish_reasons=_reasons(holders),
        usage=None if asked is None and told is None else Usage(input=asked, output=told),
    )


def _reasons(holders: list[Fields]) -> tuple[str, ...]:
    return tuple(reason for holder in holders if (reason := text(_first(holder, _REASONS))))


def read_part(part: object) -> int | Reading:
    """A part of a stream: a token for each text."""
    holders = _holders(fields_of(part))
    tokens, reasons = sum(bool(_first(holder, _TEXTS)) for holder in holders), _reasons(holders)
    return Reading(tokens=tokens, finish_reasons=reasons) if reasons else tokens


def read_pieces(body: object) -> Iterable[Piece]:
    """The texts of a whole answer, or of a part of a stream."""
    for choice, holder in enumerate(_holders(fields_of(body))):
        written = text(_first(holder, _TEXTS))
        if written:
            yield Piece(written, choice=choice)
