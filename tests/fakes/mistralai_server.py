"""Mistral's wire format: chat, fill-in-the-middle, agents and conversations, embeddings, and what it recognises."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.openai_server import answer_of, events_of
from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

CONVERSATION = "conv_1"
WHEN = "2026-11-21T12:00:00Z"


class MistralWire(Wire):
    """What Mistral's API says."""

    def model_of(self, path: str, request: Json) -> str:
        # A conversation that goes on is named in the path; an agent stands for its model.
        named = path.split("/")[3:4] if path.startswith("/v1/conversations/") else ()
        return next(iter(named), None) or request.get("model") or request["agent_id"]

    def answer(self, path: str, request: Json) -> Json:
        model = self.model_of(path, request)
        if path.endswith("/responses"):
            return answer_of(path, request)
        if path.endswith(("/moderations", "/classifications")):
            return {"id": "judge-1", "model": f"{model}-0001", "results": []}
        if path.endswith("/speech"):
            return {"audio_data": "".join(CONTENT)}
        if path.endswith("/embeddings"):
            return _embeddings(model)
        if path.endswith("/ocr"):
            return _pages(model)
        if path.endswith("/transcriptions"):
            return _transcript(model)
        return _conversation(model, request) if "/conversations" in path else _completion(model, request)

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        model = self.model_of(path, request)
        if path.endswith("/responses"):
            yield from events_of(path, request)
            return
        if "/conversations" in path or "/audio/" in path:
            sounding = _speaking() if path.endswith("/speech") else _transcribing(model)
            for event in _conversing(model, request) if "/conversations" in path else sounding:
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            return
        for chunk in _chunks(model, request):
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    def is_token(self, event: str | bytes) -> bool:
        return "delta" in str(event) and any(json.dumps(part) in str(event) for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"object": "error", "message": message, "type": kind, "param": None, "code": "1000"}

    def prompt(self, path: str, request: Json) -> str:
        return request.get("file_url") or _prompt(request)


class FakeMistral(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(MistralWire())


def _prompt(request: Json) -> str:
    asked = next(request[name] for name in ("messages", "inputs", "input", "prompt") if name in request)
    return asked if isinstance(asked, str) else asked[-1]["content"]


def _parts(model: str, request: Json) -> tuple[str, ...]:
    if (request.get("response_format") or {}).get("type") == "json_schema" and not request.get("stream"):
        return ('{"answer": "It works."}',)
    return ("You said: ", _prompt(request)) if model == "parrot" else CONTENT


def _finish(model: str) -> str:
    return {"limited": "length", "failing": "error"}.get(model, "stop")


def _usage(output: int = USAGE["output"]) -> Json:
    asked = USAGE["input"]
    return {"prompt_tokens": asked, "completion_tokens": output, "total_tokens": asked + output}


# Chat, fill-in-the-middle and agents.


def _completion(model: str, request: Json) -> Json:
    message = {"role": "assistant", "content": "".join(_parts(model, request)), "tool_calls": None}
    return {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{model}-0001",
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(model)}],
        "usage": {**_usage(), "prompt_tokens_details": {"cached_tokens": 2}},
    }


def _chunk(model: str, delta: Json, reason: str | None = None, **more: object) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1, "model": f"{model}-0001",
            "choices": [choice], **more}  # fmt: skip


def _chunks(model: str, request: Json) -> Iterator[Json]:
    yield _chunk(model, {"role": "assistant", "content": ""})
    for part in () if model == "failing" else _parts(model, request):
        yield _chunk(model, {"content": part})
    yield _chunk(model, {"content": ""}, _finish(model), usage=_usage())


# Conversations.


def _conversation(model: str, request: Json) -> Json:
    entry = {"object": "entry", "type": "message.output", "id": "msg_1", "created_at": WHEN, "completed_at": WHEN}
    written = "".join(_parts(model, request))
    return {
        "object": "conversation.response",
        "conversation_id": CONVERSATION,
        "outputs": [{**entry, "role": "assistant", "model": f"{model}-0001", "content": written}],
        "usage": _usage(),
    }


def _conversing(model: str, request: Json) -> Iterator[Json]:
    yield {"type": "conversation.response.started", "created_at": WHEN, "conversation_id": CONVERSATION}
    if model == "failing":
        yield {"type": "conversation.response.error", "created_at": WHEN, "message": "overloaded", "code": 3500}
        return
    where = {"id": "msg_1", "output_index": 0, "content_index": 0, "role": "assistant", "model": f"{model}-0001"}
    for part in _parts(model, request):
        yield {"type": "message.output.delta", "created_at": WHEN, **where, "content": part}
    yield {"type": "conversation.response.done", "created_at": WHEN, "usage": _usage()}


# Embeddings, documents and speech.


def _embeddings(model: str) -> Json:
    found = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
    return {"id": "emb-1", "object": "list", "model": f"{model}-0001", "data": found, "usage": _usage(0)}


def _pages(model: str) -> Json:
    pages = [{"index": index, "markdown": part, "images": [], "dimensions": None} for index, part in enumerate(CONTENT)]
    return {"model": f"{model}-0001", "pages": pages, "usage_info": {"pages_processed": len(pages)}}


def _transcript(model: str) -> Json:
    return {"model": f"{model}-0001", "text": "".join(CONTENT), "language": "en", "segments": [], "usage": _usage()}


def _speaking() -> Iterator[Json]:
    for part in CONTENT:
        yield {"type": "speech.audio.delta", "audio_data": part}
    yield {"type": "speech.audio.done", "usage": _usage()}


def _transcribing(model: str) -> Iterator[Json]:
    for part in CONTENT:
        yield {"type": "transcription.text.delta", "text": part}
    yield {"type": "transcription.done", **_transcript(model)}
