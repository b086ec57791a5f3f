"""Reading Mistral's responses, which are OpenAI's in the frames of Mistral's SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Piece, Reading, Request, replace
from midspan_instrumentation.providers import _responses, _responses_content
from midspan_instrumentation.providers._fields import own
from midspan_instrumentation.providers._mistral import sent


def read_request(*_: object, timeout_ms: object = None, server_url: object = None, **asked: object) -> Request:
    """`responses.create`."""
    return sent(_responses.read_request(**asked), timeout_ms, server_url)


def read_response(result: object) -> Reading:
    """A `CreateResponseResponse`, or the first frame of a stream, which carries one."""
    return _responses.read_response(own(result, "data") or result)


def read_event(event: Any) -> int | Reading:
    """Each delta is one token; the last frame carries the response."""
    found = _responses.read_event(event.data)
    return found if isinstance(found, int) else replace(found, is_last=True)


def read_pieces(event: Any) -> Iterator[Piece]:
    """What is new in a frame."""
    return _responses_content.read_pieces(event.data)
