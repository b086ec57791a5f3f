"""Anthropic's wire format: messages."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

CACHED = 2
"""Input tokens that come from a cache: the API counts them apart from the others."""


class AnthropicWire(Wire):
    """What Anthropic's API says."""

    def answer(self, path: str, request: Json) -> Json:
        return _message(request) if path.endswith("/messages") else {"input_tokens": USAGE["input"]}

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        for event in _odd_events(request) if request["model"] == "odd" else _events(request):
            yield f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n"

    def is_token(self, event: str | bytes) -> bool:
        return "text_delta" in str(event) and any(json.dumps(part) in str(event) for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"type": "error", "error": {"type": kind, "message": message}}

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(request)


class FakeAnthropic(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(AnthropicWire())


def _prompt(request: Json) -> str:
    return request["messages"][-1]["content"]


def _parts(request: Json) -> tuple[str, ...]:
    if "format" in (request.get("output_config") or {}):
        return ('{"answer": ', '"It works."}')
    return ("You said: ", _prompt(request)) if request["model"] == "parrot" else CONTENT


def _reason(request: Json) -> str:
    return "max_tokens" if request["model"] == "limited" else "end_turn"


def _usage() -> Json:
    return {
        "input_tokens": USAGE["input"] - CACHED,
        "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0,
        "output_tokens": USAGE["output"],
        "output_tokens_details": {"thinking_tokens": 1},
    }


def _message(request: Json) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{request['model']}-0001",
        "content": [{"type": "text", "text": "".join(_parts(request)), "citations": None}],
        "stop_reason": _reason(request),
        "stop_sequence": None,
        "usage": _usage(),
    }


def _begun(request: Json) -> Json:
    usage = {**_usage(), "output_tokens": 1, "output_tokens_details": None}
    message = {**_message(request), "content": [], "stop_reason": None, "usage": usage}
    return {"type": "message_start", "message": message}


def delta(written: str, index: int = 0) -> Json:
    """An event with something new."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": written}}


def _events(request: Json) -> Iterator[Json]:
    yield _begun(request)
    if request["model"] == "failing":
        yield {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return
    if request.get("thinking"):
        yield from _thinking()
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for part in _parts(request):
        yield delta(part)
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": _reason(request), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": _usage()}
    yield {"type": "message_stop"}


def _thinking() -> Iterator[Json]:
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    for thought in ({"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": "s"}):
        yield {"type": "content_block_delta", "index": 0, "delta": thought}
    yield {"type": "content_block_stop", "index": 0}


def _odd_events(request: Json) -> Iterator[Json]:
    yield {**_begun(request), "message": {**_message(request), "content": [], "usage": None}}
    yield {"type": "of_the_future", "delta": None}
    yield {"type": "content_block_delta", "index": None, "delta": None}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "of_the_future"}}
    yield delta("a")
    yield {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": None}}
    yield {"type": "message_stop"}
