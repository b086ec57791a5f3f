"""Reading Gemini's contents: what is asked for, whole answers, the chunks of a stream, and embeddings."""

from __future__ import annotations

from typing import Any

from midspan_instrumentation.provider import Reading, Request, Usage, replace
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    fields_of,
    given_of,
    items,
    number,
    text,
    texts,
    whole,
)

CHARACTERS = 4
"""Of a text in a token, as Gemini's guide to tokens has it: a chunk of a stream holds many."""


def _form(asked: object) -> str | None:
    """Of an answer: a content type, or a schema."""
    return {"application/json": "json", "text/plain": "text"}.get(asked) if isinstance(asked, str) else "json"


def _modality(values: object) -> str | None:
    """The only kind of answer that was asked for."""
    asked = [_word(each) for each in items(values)]
    return {"image": "image", "audio": "speech", "text": "text"}.get(asked[0] or "") if len(asked) == 1 else None


def _level(thinking: object) -> str | None:
    return _word(field(thinking, "thinking_level"))


def _word(value: object) -> str | None:
    """A value of an enumeration, as the conventions write such words."""
    found = text(getattr(value, "value", value))
    return None if found is None else found.lower()


_ASKED: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "top_k": ("gen_ai.request.top_k", number),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", number),
    "presence_penalty": ("gen_ai.request.presence_penalty", number),
    "seed": ("gen_ai.request.seed", whole),
    "stop_sequences": ("gen_ai.request.stop_sequences", texts),
    "thinking_config": ("gen_ai.request.reasoning.level", _level),
    "response_modalities": ("gen_ai.output.type", _modality),
    "response_mime_type": ("gen_ai.output.type", _form),
    "response_schema": ("gen_ai.output.type", _form),
    "response_json_schema": ("gen_ai.output.type", _form),
    "output_dimensionality": ("gen_ai.embeddings.dimension.count", whole),
}


def read_request(*_: object, model: object = None, config: object = None, **_rest: object) -> Request:
    """Contents, embeddings and images alike: the rest of what is asked for stands in their configuration."""
    asked = fields_of(config)
    choices = whole(asked.get("candidate_count")) or 1
    attributes = given_of(asked, _ASKED)
    if choices != 1:
        attributes["gen_ai.request.choice.count"] = choices
    return Request(
        model=text(model),
        max_tokens=whole(asked.get("max_output_tokens")),
        timeout=timeout_of(asked.get("http_options")),
        choices=choices,
        attributes=attributes,
    )


def timeout_of(options: object) -> float | None:
    """Seconds, of the milliseconds that the SDK is told."""
    found = None if options is None else number(field(options, "timeout"))
    return found / 1000 if found else None


def read_response(answer: object) -> Reading:
    """A whole answer, or a chunk. One that was blocked has no candidates, but a reason for that."""
    blocked = _word(field(field(answer, "prompt_feedback"), "block_reason"))
    found = [_word(field(candidate, "finish_reason")) for candidate in items(field(answer, "candidates"))]
    return Reading(
        id=text(field(answer, "response_id")),
        model=text(field(answer, "model_version")),
        finish_reasons=tuple(reason for reason in (*found, blocked) if reason),
        usage=_usage(field(answer, "usage_metadata")),
    )


def _usage(told: object) -> Usage | None:
    """Thoughts are output, and what tools of the model's own have answered is input, as the total has them."""
    if told is None:
        return None
    thoughts = whole(field(told, "thoughts_token_count"))
    return Usage(
        input=sum_of(whole(field(told, "prompt_token_count")), whole(field(told, "tool_use_prompt_token_count"))),
        output=sum_of(whole(field(told, "candidates_token_count")), thoughts),
        reasoning=thoughts,
        cached=whole(field(told, "cached_content_token_count")),
    )


def sum_of(*counts: int | None) -> int | None:
    """The sum of the counts that are told; None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def read_chunk(chunk: Any) -> int | Reading:
    """The tokens that the text of a `GenerateContentResponse` will be.

    Each chunk tells the usage so far, which is read in the last one.
    """
    try:
        # Nearly every chunk ends here: what is not there, or not one of it, raises.
        (only,) = chunk.candidates
        if only.finish_reason is None:
            (part,) = only.content.parts
            return len(part.text) // CHARACTERS or 1
    except (TypeError, ValueError, AttributeError):
        pass  # not one text of one candidate, or an odd one
    return _read_whole_chunk(chunk)


def _read_whole_chunk(chunk: object) -> int | Reading:
    candidates = items(field(chunk, "candidates"))
    parts = [part for each in candidates for part in items(field(field(each, "content"), "parts"))]
    tokens = sum(len(text(field(part, "text")) or "") // CHARACTERS or 1 for part in parts)
    found = read_response(chunk)
    return replace(found, tokens=tokens) if found.finish_reasons else tokens


def read_embeddings(answer: object) -> Reading:
    """Vertex AI counts the tokens of each text, newer models those of all."""
    told = [field(field(each, "statistics"), "token_count") for each in items(field(answer, "embeddings"))]
    counts = [int(count) for count in told if isinstance(count, (int, float))]
    usage = _usage(field(answer, "usage_metadata"))
    return Reading(usage=usage or (Usage(input=sum(counts)) if counts else None))
