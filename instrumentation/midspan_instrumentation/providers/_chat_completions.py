"""Reading chat completions, as OpenAI's API has them and many others too."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from midspan_instrumentation.provider import Processed, Reading, Request, Usage
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    given_of,
    number,
    output_type,
    parsed,
    seconds,
    text,
    texts,
    whole,
)

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta

# Where a chunk has something new; the last two are extra fields of services that speak the protocol.
_OUTPUT = ("content", "tool_calls", "refusal", "reasoning_content", "reasoning")


_ASKED: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", number),
    "presence_penalty": ("gen_ai.request.presence_penalty", number),
    "seed": ("gen_ai.request.seed", whole),
    "stop": ("gen_ai.request.stop_sequences", texts),
    "reasoning_effort": ("gen_ai.request.reasoning.level", text),
    "response_format": ("gen_ai.output.type", output_type),
}


def read_request(
    *_: object,
    model: object = None,
    stream: object = None,
    max_tokens: object = None,
    max_completion_tokens: object = None,
    n: object = None,
    timeout: object = None,
    **asked: object,
) -> Request:
    """`chat.completions.create` and `.parse`, and the older `completions.create`."""
    limit = None if max_completion_tokens is None else whole(max_completion_tokens)
    attributes = given_of(asked, _ASKED)
    choices = (None if n is None else whole(n)) or 1
    if choices != 1:
        attributes["gen_ai.request.choice.count"] = choices
    return Request(
        model=text(model),
        stream=stream is True,
        max_tokens=whole(max_tokens) if limit is None and max_tokens is not None else limit,
        timeout=None if timeout is None else seconds(timeout),
        choices=choices,
        attributes=attributes,
    )


def read_completion(result: object) -> Reading:
    """A `ChatCompletion`, a `Completion`, or the first chunk of their streams, which names id and model alike."""
    completion = parsed(result)
    reasons: list[str] = []
    for choice in choices_of(completion):
        reason = getattr(choice, "finish_reason", None)
        if reason and isinstance(reason, str):
            reasons.append(reason)
    return Reading(
        id=text(getattr(completion, "id", None)),
        model=text(getattr(completion, "model", None)),
        finish_reasons=tuple(reasons),
        usage=read_usage(getattr(completion, "usage", None), "prompt", "completion"),
    )


def read_chunk(chunk: ChatCompletionChunk) -> int | Reading:
    """One token for each choice that has something new."""
    try:
        (only,) = chunk.choices
        # Nearly every chunk ends here. One look at the namespace is cheaper than two attributes.
        choice = only.__dict__
        if choice["delta"].content and choice["finish_reason"] is None:
            return 1
    except (TypeError, ValueError, AttributeError, KeyError):
        pass  # not one choice, or an odd one: without a delta, say
    return read_whole_chunk(chunk, _has_output)


def read_processed(chunk: object) -> Processed | None:
    """llama.cpp's `prompt_progress`, which it sends where the request has `return_progress`."""
    more = getattr(chunk, "__pydantic_extra__", None)
    told = field(chunk, "prompt_progress") if more is None else more.get("prompt_progress")
    if told is None:
        return None
    tokens, total = whole(field(told, "processed")), whole(field(told, "total"))
    return None if tokens is None or total is None else Processed(tokens, total)


def read_whole_chunk(chunk: object, has_output: Callable[[object], bool]) -> int | Reading:
    """Everything that a chunk can say; `has_output` tells whether one of its choices has something new."""
    choices = choices_of(chunk)
    tokens = sum(has_output(choice) for choice in choices)
    reasons = (text(getattr(choice, "finish_reason", None)) for choice in choices)
    finish_reasons = tuple(reason for reason in reasons if reason)
    usage = read_usage(getattr(chunk, "usage", None), "prompt", "completion")
    if usage is None and not finish_reasons:
        return tokens
    return Reading(tokens=tokens, finish_reasons=finish_reasons, usage=usage)


def _has_output(choice: object) -> bool:
    delta: ChoiceDelta | None = getattr(choice, "delta", None)
    return any(getattr(delta, name, None) for name in _OUTPUT)


def choices_of(answer: object) -> list[object]:
    """The choices of an answer or a chunk. Services that speak the protocol leave out or set to null what they like."""
    choices: list[object] | None = getattr(answer, "choices", None)
    return choices if isinstance(choices, list) else []


@cache
def _usage_fields(asked: str, told: str) -> tuple[str, str, str, str]:
    return f"{asked}_tokens", f"{told}_tokens", f"{told}_tokens_details", f"{asked}_tokens_details"


def read_usage(usage: object, asked: str, told: str) -> Usage | None:
    """The APIs differ in their words for what was asked and what was told."""
    if usage is None:
        return None
    asked_tokens, told_tokens, told_details, asked_details = _usage_fields(asked, told)
    thought, cached = getattr(usage, told_details, None), getattr(usage, asked_details, None)
    return Usage(
        input=whole(getattr(usage, asked_tokens, None)),
        output=whole(getattr(usage, told_tokens, None)),
        # An SDK older than the fields keeps them as the mappings that they were.
        reasoning=None if thought is None else whole(field(thought, "reasoning_tokens")),
        cached=None if cached is None else whole(field(cached, "cached_tokens")),
    )
