"""Reading messages, as Anthropic's API has them, and the events that their streams are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.provider import Reading, Request, Usage, replace
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    given_of,
    number,
    output_type,
    own,
    parsed,
    seconds,
    text,
    texts,
    whole,
)

if TYPE_CHECKING:
    from anthropic.types import Message, RawMessageStreamEvent

_UNCOUNTED = ("signature_delta", "citations_delta")
"""Deltas that nothing was written with."""


def _effort(config: object) -> str | None:
    return text(field(config, "effort"))


_ASKED: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "top_k": ("gen_ai.request.top_k", whole),
    "stop_sequences": ("gen_ai.request.stop_sequences", texts),
    "output_config": ("gen_ai.request.reasoning.level", _effort),
}


def read_request(
    *_: object,
    model: object = None,
    max_tokens: object = None,
    stream: object = None,
    timeout: object = None,
    **asked: object,
) -> Request:
    """`messages.create` and `.parse`."""
    attributes = given_of(asked, _ASKED)
    form = asked.get("output_format") or field(asked.get("output_config"), "format")
    kind = None if form is None else output_type(form)
    if kind is not None:
        attributes["gen_ai.output.type"] = kind
    return Request(
        model=text(model),
        stream=stream is True,
        max_tokens=whole(max_tokens),
        timeout=seconds(timeout),
        attributes=attributes,
    )


def read_streamed(*args: object, **asked: object) -> Request:
    """`messages.stream`."""
    return replace(read_request(*args, **asked), stream=True)


def read_message(result: object) -> Reading:
    """A `Message`, or the first event of a stream, which carries one."""
    message = message_of(result)
    reason = text(getattr(message, "stop_reason", None))
    return Reading(
        id=text(getattr(message, "id", None)),
        model=text(getattr(message, "model", None)),
        finish_reasons=(reason,) if reason else (),
        usage=_read_usage(getattr(message, "usage", None)),
    )


def message_of(result: object) -> Message:
    """The message that a result or an event carries."""
    return cast("Message", own(result, "message") or parsed(result))


def _read_usage(usage: object) -> Usage | None:
    """What was read from a cache and written to one was asked as well: the API does not count it as input."""
    if usage is None:
        return None
    asked, cached = whole(field(usage, "input_tokens")), whole(field(usage, "cache_read_input_tokens"))
    written = whole(field(usage, "cache_creation_input_tokens"))
    return Usage(
        input=None if asked is None else asked + (cached or 0) + (written or 0),
        output=whole(field(usage, "output_tokens")),
        reasoning=whole(field(field(usage, "output_tokens_details"), "thinking_tokens")),
        cached=cached,
    )


def read_event(event: RawMessageStreamEvent) -> int | Reading:
    """Each delta of text, of thinking and of a tool's input is one token."""
    kind = getattr(event, "type", None)
    if kind == "content_block_delta":
        return 0 if getattr(getattr(event, "delta", None), "type", None) in _UNCOUNTED else 1
    if kind == "message_start":
        usage = read_message(event).usage
        # Its output is a placeholder.
        return 0 if usage is None else Reading(usage=replace(usage, output=None))
    if kind == "message_delta":
        return _read_delta(event)
    return Reading(is_last=True) if kind == "message_stop" else 0


def _read_delta(event: Any) -> Reading:
    """What has become known by the end: why it has ended, and the usage of all of it."""
    reason = text(field(getattr(event, "delta", None), "stop_reason"))
    return Reading(finish_reasons=(reason,) if reason else (), usage=_read_usage(getattr(event, "usage", None)))
