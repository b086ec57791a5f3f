"""Reading Bedrock's `InvokeModel`: the body is the application's to write and to read."""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.provider import Piece, Prompt, Reading, Request, Usage
from midspan_instrumentation.providers import _bedrock_bodies, _converse
from midspan_instrumentation.providers._fields import field, given_of, text

if TYPE_CHECKING:
    from botocore.eventstream import EventStreamMessage  # pyright: ignore[reportMissingTypeStubs]


_COUNTS = ("input", "output", "cache-read-input", "cache-write-input")


def read_request(operation_name: str, api_params: dict[str, object]) -> Request:
    """`invoke_model` and `invoke_model_with_response_stream`."""
    settings = _bedrock_bodies.settings_of(api_params.get("body"))
    return Request(
        model=text(api_params.get("modelId")),
        stream=operation_name == "InvokeModelWithResponseStream",
        max_tokens=_bedrock_bodies.limit_of(settings),
        attributes=given_of(settings, _bedrock_bodies.SETTINGS),
    )


def read_prompt(_operation_name: str, api_params: object) -> Prompt:
    """What the body asks."""
    return _bedrock_bodies.read_prompt(field(api_params, "body"))


def read_response(result: object) -> Reading:
    """What botocore returns, with the counts in its headers; and later the body, or the first event of a stream."""
    headers = field(field(result, "ResponseMetadata"), "HTTPHeaders")
    if headers is not None:
        return Reading(usage=_read_headers(headers))
    return _bedrock_bodies.read(_part_of(result) if hasattr(result, "payload") else result)


def find_body(result: object) -> object | None:
    """The body of an answer that is not streamed. Streams are iterated."""
    body = field(result, "body")
    return body if hasattr(body, "read") else None


def _read_headers(headers: Any) -> Usage | None:
    return _converse.usage_of(*(_counted(headers.get(f"x-amzn-bedrock-{name}-token-count")) for name in _COUNTS))


def _counted(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def read_chunk(message: EventStreamMessage) -> int | Reading:
    """An event of the stream, as it came: a part of the answer, or an error."""
    if cast("dict[str, Any]", message.headers).get(":event-type") != "chunk":
        return _converse.read_failure(message)
    content = _content_of(message)
    # Nearly every event ends here: parsing it would take as long as all the rest.
    if b'"text_delta"' in content:
        return 1
    return _bedrock_bodies.read_part(_bedrock_bodies.parse(content))


def read_pieces(message: EventStreamMessage) -> Iterable[Piece]:
    """The content of an event."""
    return _bedrock_bodies.read_pieces(_part_of(message))


def _part_of(message: Any) -> object:
    return _bedrock_bodies.parse(_content_of(message))


def _content_of(message: EventStreamMessage) -> bytes:
    """What the model has answered, inside of an event; botocore unwraps it after this."""
    return a2b_base64(json.loads(cast("bytes", message.payload)).get("bytes", ""))
