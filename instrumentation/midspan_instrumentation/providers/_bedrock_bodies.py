"""Reading the bodies of Bedrock's `InvokeModel`, in which each maker of models has its own words.

Which maker's they are is read from the body itself: the identifier of a model may be that of a profile or a deployment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import NamedTuple, cast

from midspan_instrumentation.provider import ChunkReader, Piece, PieceReader, Prompt, Reading, replace
from midspan_instrumentation.providers import (
    _bedrock_texts,
    _chat_completions,
    _chat_content,
    _claude,
    _claude_content,
    _converse,
    _converse_content,
)
from midspan_instrumentation.providers._fields import Readers, field, fields_of, number, text, texts, whole
from midspan_instrumentation.providers._messages import message, text_part

MAX_ASKED = 16 * 1024
"""Bytes of a request's body: to look into a larger one would take longer than all the rest."""
MAX_ANSWERED = 256 * 1024
"""Bytes of an answer's body: a larger one holds pictures."""

SETTINGS: Readers = {
    **_converse.SETTINGS,
    "top_p": ("gen_ai.request.top_p", number),
    "p": ("gen_ai.request.top_p", number),
    "top_k": ("gen_ai.request.top_k", whole),
    "k": ("gen_ai.request.top_k", whole),
    "stop": ("gen_ai.request.stop_sequences", texts),
    "stop_sequences": ("gen_ai.request.stop_sequences", texts),
}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_gen_len", "maxTokenCount", "maxTokens", "max_new_tokens")
_PROMPTS = ("prompt", "inputText", "message")
_COUNTS = ("input", "output", "cacheReadInput", "cacheWriteInput")
_METRICS = "amazon-bedrock-invocationMetrics"


class _Form(NamedTuple):
    """How the answers of a maker's models are read: whole ones, and the parts of a stream."""

    read: Callable[[object], Reading]
    read_chunk: ChunkReader
    read_answer: PieceReader
    read_pieces: PieceReader


def settings_of(body: object) -> dict[str, object]:
    """What a request's body asks for beside its content; nothing of a large one, or one that is a file."""
    if not isinstance(body, (bytes, bytearray, str)) or len(body) > MAX_ASKED:
        return {}
    found = _asked_in(body)
    inside = (fields_of(found.get(name)) for name in ("inferenceConfig", "textGenerationConfig"))
    return {**found, **{name: value for each in inside for name, value in each.items()}}


def _asked_in(body: bytes | bytearray | str) -> dict[str, object]:
    try:
        return cast("dict[str, object]", fields_of(json.loads(body)))
    except ValueError:
        return {}


def limit_of(settings: dict[str, object]) -> int | None:
    """The most tokens that may be answered."""
    return next((whole(settings[name]) for name in _LIMITS if name in settings), None)


def parse(body: bytes) -> object:
    """An answer as an object like those of other SDKs; None of a large one, and of one that is no JSON."""
    if len(body) > MAX_ANSWERED:
        return None
    try:
        return json.loads(body, object_hook=lambda fields: SimpleNamespace(**fields))
    except ValueError:
        return None


def read_prompt(body: object) -> Prompt:
    """What a request's body asks."""
    asked = _asked_in(body) if isinstance(body, (bytes, bytearray, str)) else {}
    if "messages" not in asked:
        told = [text(asked[name]) for name in _PROMPTS if name in asked]
        return Prompt(messages=[message("user", [text_part(each)]) for each in told if each])
    if "anthropic_version" in asked:
        return _claude_content.read_prompt(**asked)
    if "inferenceConfig" in asked or "schemaVersion" in asked:
        return _converse_content.read_prompt("", asked)
    return _chat_content.read_prompt(**asked)


def read(body: object) -> Reading:
    """A whole answer, or the first part of a stream, which names id and model alike."""
    return _form_of(body).read(body)


def read_part(part: object) -> int | Reading:
    """One part of a stream. The last one has the counts that Bedrock has made."""
    found = _form_of(part).read_chunk(part)
    metrics = field(part, _METRICS)
    if metrics is None:
        return found
    asked, told, cached, written = (whole(field(metrics, f"{name}TokenCount")) for name in _COUNTS)
    usage = _converse.usage_of(asked, told, cached, written)
    reading = Reading(tokens=found) if isinstance(found, int) else found
    return replace(reading, usage=usage, is_last=True)


def read_answer(body: object) -> Iterable[Piece]:
    """The content of a whole answer."""
    return _form_of(body).read_answer(body)


def read_pieces(part: object) -> Iterable[Piece]:
    """The content of one part of a stream."""
    return _form_of(part).read_pieces(part)


def _form_of(body: object) -> _Form:
    fields = fields_of(body)
    if "choices" in fields:
        return _CHAT
    if "type" in fields:
        return _CLAUDE
    return _CONVERSE if "output" in fields or not _EVENTS.isdisjoint(fields) else _TEXT


# Amazon's own models: the events of a `converse_stream`, each in an object of its own.


def _event_of(part: object) -> tuple[str, object]:
    return next(((name, value) for name, value in fields_of(part).items() if name in _EVENTS), ("", None))


def _read_event(part: object) -> int | Reading:
    return _converse.read_event(*_event_of(part))


def _event_pieces(part: object) -> Iterable[Piece]:
    return _converse_content.pieces_of(*_event_of(part))


_EVENTS = frozenset(
    ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
)


_CHAT = _Form(
    _chat_completions.read_completion,
    _chat_completions.read_chunk,
    _chat_content.read_answer,
    _chat_content.read_pieces,
)
_CLAUDE = _Form(
    _claude.read_message,
    cast("ChunkReader", _claude.read_event),
    _claude_content.read_answer,
    _claude_content.read_pieces,
)
_CONVERSE = _Form(
    _converse.read_response,
    _read_event,
    _converse_content.read_answer,
    _event_pieces,
)
_TEXT = _Form(_bedrock_texts.read, _bedrock_texts.read_part, _bedrock_texts.read_pieces, _bedrock_texts.read_pieces)
