"""Reading what Bedrock's `Converse` asks and answers; the bodies of Amazon's own models have the same words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.provider import Failure, Reading, Request, Usage, replace
from midspan_instrumentation.providers._fields import Readers, field, fields_of, given_of, number, text, texts, whole

if TYPE_CHECKING:
    from botocore.eventstream import EventStreamMessage  # pyright: ignore[reportMissingTypeStubs]

SETTINGS: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "topP": ("gen_ai.request.top_p", number),
    "stopSequences": ("gen_ai.request.stop_sequences", texts),
}
"""Of an `inferenceConfig`."""
_COUNTS = ("input", "output", "cacheReadInput", "cacheWriteInput")


def read_request(operation_name: str, api_params: dict[str, object]) -> Request:
    """`converse` and `converse_stream`."""
    config = api_params.get("inferenceConfig")
    attributes = given_of(fields_of(config), SETTINGS)
    guardrail = text(field(api_params.get("guardrailConfig"), "guardrailIdentifier"))
    if guardrail is not None:
        attributes["aws.bedrock.guardrail.id"] = guardrail
    return Request(
        model=text(api_params.get("modelId")),
        stream=operation_name == "ConverseStream",
        max_tokens=whole(field(config, "maxTokens")),
        attributes=attributes,
    )


def read_response(result: object) -> Reading:
    """The answer of `converse`; of a stream's first event nothing is to be known."""
    reason = text(field(result, "stopReason"))
    return Reading(finish_reasons=(reason,) if reason else (), usage=read_usage(field(result, "usage")))


def read_usage(usage: object) -> Usage | None:
    """The counts of `converse`."""
    return usage_of(*(whole(field(usage, f"{name}Tokens")) for name in _COUNTS))


def usage_of(asked: int | None, told: int | None, cached: int | None, written: int | None) -> Usage | None:
    """What was read from a cache and written to one was asked as well: Bedrock does not count it as input."""
    if asked is None and told is None:
        return None
    return Usage(input=None if asked is None else asked + (cached or 0) + (written or 0), output=told, cached=cached)


def read_message(message: EventStreamMessage) -> int | Reading:
    """An event of `converse_stream`, as it came: botocore parses it after this."""
    kind = cast("dict[str, Any]", message.headers).get(":event-type")
    if kind == "contentBlockDelta":
        return 1
    if kind in ("messageStop", "metadata"):
        return read_event(kind, carried_by(message))
    return read_failure(message)


def read_failure(message: EventStreamMessage) -> int | Reading:
    """An event that has no tokens: an error, which ends the stream, or one of no interest."""
    headers = cast("dict[str, Any]", message.headers)
    if headers.get(":message-type") == "exception":
        found = carried_by(message)
        told = text(field(found, "message")) or text(field(found, "Message"))
        return Reading(failure=Failure(text(headers.get(":exception-type")) or "exception", told))
    if headers.get(":message-type") == "error":
        return Reading(
            failure=Failure(text(headers.get(":error-code")) or "error", text(headers.get(":error-message")))
        )
    return 0


def carried_by(message: EventStreamMessage) -> object:
    """What an event carries."""
    return json.loads(cast("bytes", message.payload))


def read_event(kind: str, fields: object) -> int | Reading:
    """An event by its name: after `metadata` comes nothing more."""
    if kind == "contentBlockDelta":
        return 1
    if kind == "messageStop":
        return read_response(fields)
    return replace(read_response(fields), is_last=True) if kind == "metadata" else 0
