"""Gemini's wire format: contents, streamed as server-sent events or whole, embeddings and images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json

THOUGHTS = 1
"""Tokens of the answer that were thoughts."""


class GeminiWire:
    """What the API says. The model stands in the path."""

    event_type = "text/event-stream"

    def model_of(self, path: str, request: Json) -> str:
        found = re.search(r"/models/([^:/]+)", path)
        return found[1] if found else ""

    def is_streamed(self, path: str, request: Json) -> bool:
        return "streamGenerateContent" in path

    def answer(self, path: str, request: Json) -> Json:
        if "mbedContent" in path:
            return {"embeddings": [{"values": [0.5, 0.25]}], "usageMetadata": {"promptTokenCount": USAGE["input"]}}
        if path.endswith(":predict"):
            return {"predictions": [{"bytesBase64Encoded": "iVBORw==", "mimeType": "image/png"}]}
        model = self.model_of(path, request)
        called = _called(request)
        parts = called or [{"text": "".join(_parts(model, request))}]
        return _answer(model, [_candidate(parts, _finish(model))], usageMetadata=_usage())

    def events(self, path: str, request: Json) -> Iterator[str]:
        model = self.model_of(path, request)
        for chunk in _odd_chunks(model) if model == "odd" else _chunks(model, request):
            yield f"data: {json.dumps(chunk)}\r\n\r\n"

    def is_token(self, event: str | bytes) -> bool:
        return any(f'"text": {json.dumps(part)}' in str(event) for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(request)


class FakeGemini(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(GeminiWire())


def _prompt(request: Json) -> str:
    asked = request.get("contents") or [each["content"] for each in request.get("requests", ())]
    return asked[-1]["parts"][0]["text"]


def _parts(model: str, request: Json) -> tuple[str, ...]:
    return ("You said: ", _prompt(request)) if model == "parrot" else CONTENT


def _finish(model: str) -> str:
    return "MAX_TOKENS" if model == "limited" else "STOP"


def _called(request: Json) -> list[Json]:
    """Every function that is offered is called, unless one has answered."""
    if any("functionResponse" in part for content in request.get("contents", ()) for part in content["parts"]):
        return []
    declared = [each for tool in request.get("tools", ()) for each in tool.get("functionDeclarations", ())]
    return [{"functionCall": {"name": each["name"], "args": {"city": "Oslo"}}} for each in declared]


def _candidate(parts: list[Json], reason: str | None = None, index: int = 0) -> Json:
    content = {"content": {"role": "model", "parts": parts}} if parts else {}
    return {**content, "index": index, **({"finishReason": reason} if reason else {})}


def _answer(model: str, candidates: list[Json], **more: object) -> Json:
    return {"candidates": candidates, "modelVersion": f"{model}-0001", "responseId": "answer-1", **more}


def _usage(told: int = USAGE["output"] - THOUGHTS) -> Json:
    asked = {"promptTokenCount": USAGE["input"] - 3, "toolUsePromptTokenCount": 3, "cachedContentTokenCount": 2}
    return {**asked, "candidatesTokenCount": told, "thoughtsTokenCount": THOUGHTS}


def _chunks(model: str, request: Json) -> Iterator[Json]:
    if model == "failing":
        yield _answer(model, [_candidate([{"text": CONTENT[0]}])])
        yield {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
        return
    count = (request.get("generationConfig") or {}).get("candidateCount") or 1
    for index in range(count):
        for told, part in enumerate(_parts(model, request)):
            yield _answer(model, [_candidate([{"text": part}], index=index)], usageMetadata=_usage(told))
        yield _answer(model, [_candidate(_called(request), _finish(model), index)], usageMetadata=_usage())


def _odd_chunks(model: str) -> Iterator[Json]:
    yield {}
    yield {"candidates": [], "modelVersion": None}
    yield _answer(model, [{"index": None, "content": {"role": "model"}}])
    yield _answer(model, [_candidate([{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}])])
    yield _answer(model, [_candidate([{"text": "b", "thought": True}], index=1), _candidate([{"text": "c"}])])
    yield _answer(model, [_candidate([], "STOP")], usageMetadata={"promptTokenCount": USAGE["input"]})
