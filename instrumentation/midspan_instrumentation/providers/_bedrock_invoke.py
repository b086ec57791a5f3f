"""Reading Bedrock's `InvokeModel`: the body is the application's to write and to read."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
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


_BEGUN = b'{"bytes":"'
_KINDS = ("text", "thinking", "input_json")


def _event_with(begun: str) -> bytes:
    """How an event begins whose part begins so, which is written in base64: three bytes are four letters."""
    whole = begun.encode()
    return _BEGUN + b2a_base64(whole[: len(whole) // 3 * 3], newline=False)


# Of Anthropic's models, those of the first blocks that an answer has; of Amazon's, any.
_DELTAS = (
    *(
        _event_with(f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}_delta"')
        for index in range(3)
        for kind in _KINDS
    ),
    _event_with('{"contentBlockDelta":'),
)
_TYPED = _event_with('{"type')
_UNFINISHED = b'eason":null'
"""Near the end of a part of Meta's models, of Mistral's, of Amazon's older ones, and of those that speak as OpenAI's
do. No text is mistaken for it: a quotation mark inside of one is written otherwise."""
_END = 96
"""Letters of the end."""


def read_chunk(message: EventStreamMessage) -> int | Reading:
    """An event of the stream, as it came: a part of the answer, or an error."""
    payload = cast("bytes", message.payload)
    # Nearly every event ends here: to decode and parse it would take many times as long as all the rest.
    if payload.startswith(_DELTAS):
        return 1
    if cast("dict[str, Any]", message.headers).get(":event-type") != "chunk":
        return _converse.read_failure(message)
    if payload.startswith(_BEGUN) and not payload.startswith(_TYPED) and _goes_on(payload):
        return 1
    return _bedrock_bodies.read_part(_part_of(message))


def _goes_on(payload: bytes) -> bool:
    """True where a part says that it is not the last one; the counts, where it has them, are its end."""
    begin = len(_BEGUN)
    end = payload.find(b'"', begin)
    told = a2b_base64(payload[max(begin, end - _END) : end])
    return _UNFINISHED in told and b"Metrics" not in told


def read_pieces(message: EventStreamMessage) -> Iterable[Piece]:
    """The content of an event."""
    return _bedrock_bodies.read_pieces(_part_of(message))


def _part_of(message: Any) -> object:
    """What the model has answered, inside of an event; botocore unwraps it after this."""
    return _bedrock_bodies.parse(a2b_base64(json.loads(cast("bytes", message.payload)).get("bytes", "")))
