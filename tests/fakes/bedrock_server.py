"""Bedrock's wire format: JSON, AWS's event streams, and inside of `invoke` the words of each maker of models."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from urllib.parse import unquote

from tests.fakes.anthropic_server import AnthropicWire
from tests.fakes.event_stream import compact, frame
from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

CACHED = 2
"""Input tokens that come from a cache: the API counts them apart from the others."""
ERRORS = {"server_error": "InternalServerException"}
METRICS = {
    "inputTokenCount": USAGE["input"] - CACHED,
    "outputTokenCount": USAGE["output"],
    "cacheReadInputTokenCount": CACHED,
    "invocationLatency": 1,
}
CLAUDE = AnthropicWire()


class BedrockWire(Wire):
    """What Bedrock says."""

    event_type = "application/vnd.amazon.eventstream"

    def model_of(self, path: str, request: Json) -> str:
        return unquote(path.split("/")[2])

    def is_streamed(self, path: str, request: Json) -> bool:
        return path.endswith("-stream")

    def answer(self, path: str, request: Json) -> Json:
        model = self.model_of(path, request)
        if path.endswith("/converse"):
            return _conversed(model, request)
        return _continued(model) if "prompt" in request else CLAUDE.answer("/messages", {**request, "model": model})

    def events(self, path: str, request: Json) -> Iterator[bytes]:
        model = self.model_of(path, request)
        if model == "failing":
            told = {"message": "overloaded", "originalStatusCode": 500}
            yield frame("modelStreamErrorException", told, "exception")
        elif path.endswith("/converse-stream"):
            yield from (frame(kind, {**fields, "p": "abc"}) for kind, fields in _events(model, request))
        else:
            parts = _text_parts(model) if "prompt" in request else _claude_parts(model, request)
            yield from (frame("chunk", {"bytes": b64encode(compact(part)).decode()}) for part in parts)

    def is_token(self, event: str | bytes) -> bool:
        assert isinstance(event, bytes)
        said = b64decode(event.partition(b'{"bytes":"')[2].partition(b'"')[0]) or event
        return b"elta" in said and any(json.dumps(part).encode() in said for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"__type": ERRORS.get(kind, "ValidationException"), "message": message}

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(request)


class FakeBedrock(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(BedrockWire())


def _prompt(request: Json) -> str:
    content = request["messages"][-1]["content"] if "messages" in request else request["prompt"]
    return content if isinstance(content, str) else content[0]["text"]


def _parts(model: str, request: Json) -> tuple[str, ...]:
    return ("You said: ", _prompt(request)) if model == "parrot" else CONTENT


# Converse.


def _reason(model: str) -> str:
    return "max_tokens" if model == "limited" else "end_turn"


def _usage() -> Json:
    asked, told = USAGE["input"] - CACHED, USAGE["output"]
    counts = {"inputTokens": asked, "outputTokens": told, "totalTokens": asked + told + CACHED}
    return {**counts, "cacheReadInputTokens": CACHED, "cacheWriteInputTokens": 0}


def _conversed(model: str, request: Json) -> Json:
    content = [{"text": "".join(_parts(model, request))}]
    answer = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": _reason(model)}
    return {**answer, "usage": _usage(), "metrics": {"latencyMs": 1}}


def _events(model: str, request: Json) -> Iterator[tuple[str, Json]]:
    yield "messageStart", {"role": "assistant"}
    if model == "odd":
        yield "ofTheFuture", {}
        yield "contentBlockDelta", {"contentBlockIndex": None, "delta": None}
        yield "metadata", {"usage": None}
        return
    for part in _parts(model, request):
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": part}}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": _reason(model)}
    yield "metadata", {"usage": _usage(), "metrics": {"latencyMs": 1}}


# Invoked: Anthropic's models, and those that continue a text.


def _claude_parts(model: str, request: Json) -> Iterator[Json]:
    for event in CLAUDE.events("/messages", {**request, "model": model}):
        part: Json = json.loads(str(event).partition("data: ")[2])
        metrics = {"amazon-bedrock-invocationMetrics": METRICS} if part["type"] == "message_stop" else {}
        yield {**part, **metrics}


def _continued(model: str) -> Json:
    counts = {"prompt_token_count": USAGE["input"], "generation_token_count": USAGE["output"]}
    return {"generation": "".join(CONTENT), **counts, "stop_reason": "length" if model == "limited" else "stop"}


def _text_parts(model: str) -> Iterator[Json]:
    unknown = {"prompt_token_count": None, "generation_token_count": None}
    for part in CONTENT:
        yield {"generation": part, **unknown, "stop_reason": None}
    yield {**_continued(model), "generation": "", "amazon-bedrock-invocationMetrics": METRICS}
