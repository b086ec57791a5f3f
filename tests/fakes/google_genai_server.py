"""Gemini's wire format: contents, streamed as server-sent events or whole, embeddings and images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

THOUGHTS = 1
"""Tokens of the answer that were thoughts."""


class GeminiWire(Wire):
    """What the API says. The model stands in the path."""

    def model_of(self, path: str, request: Json) -> str:
        if path.endswith("/interactions"):
            return request["model"]
        found = re.search(r"/models/([^:/]+)", path)
        return found[1] if found else ""

    def is_streamed(self, path: str, request: Json) -> bool:
        return "streamGenerateContent" in path or request.get("stream") is True

    def answer(self, path: str, request: Json) -> Json:
        if path.endswith("/interactions"):
            return _interacted(request["model"], request)
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
        if path.endswith("/interactions"):
            yield from _interaction_events(model, request)
            return
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
    if "input" in request:
        return request["input"]
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


# Interactions.


def _named(model: str, status: str = "in_progress") -> Json:
    return {"id": "answer-1", "object": "interaction", "model": f"{model}-0001", "status": status}


def _status(model: str) -> str:
    return "incomplete" if model == "limited" else "completed"


def _counts() -> Json:
    told = {"total_input_tokens": USAGE["input"] - 3, "total_tool_use_tokens": 3, "total_cached_tokens": 2}
    return {**told, "total_output_tokens": USAGE["output"] - THOUGHTS, "total_thought_tokens": THOUGHTS}


def _interacted(model: str, request: Json) -> Json:
    said = [{"type": "text", "text": "".join(_parts(model, request))}]
    steps: list[Json] = [{"type": "model_output", "content": said}]
    for tool in request.get("tools", ()):
        steps.append({"type": "function_call", "id": "call-1", "name": tool["name"], "arguments": {"city": "Oslo"}})
    return {**_named(model, _status(model)), "steps": steps, "usage": _counts()}


def _interaction_events(model: str, request: Json) -> Iterator[str]:
    for event in _of_the_stream(model, request):
        yield f"event: {event['event_type']}\ndata: {json.dumps(event)}\n\n"
    yield "event: done\ndata: [DONE]\n\n"


def _of_the_stream(model: str, request: Json) -> Iterator[Json]:
    yield {"event_type": "interaction.created", "interaction": _named(model)}
    if model == "failing":
        yield {"event_type": "error", "error": {"code": "overloaded", "message": "try later"}}
        return
    yield {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}}
    for part in _parts(model, request):
        yield {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": part}}
    yield {"event_type": "step.stop", "index": 0}
    for index, tool in enumerate(request.get("tools", ()), 1):
        step = {"type": "function_call", "id": "call-1", "name": tool["name"], "arguments": {}}
        yield {"event_type": "step.start", "index": index, "step": step}
        delta = {"type": "arguments_delta", "arguments": '{"city": "Oslo"}'}
        yield {"event_type": "step.delta", "index": index, "delta": delta}
    told = {**_named(model, _status(model)), "usage": _counts()}
    yield {"event_type": "interaction.completed", "interaction": told}
