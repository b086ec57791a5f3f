"""OpenAI's wire format: completions (new and old), responses and embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes import openai_media
from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

__all__ = ["CONTENT", "USAGE", "FakeOpenAI", "OpenAIWire", "answer_of", "events_of"]

STRUCTURED = ('{"answer": "It', " works", '."}')
"""The same, where a form was asked for."""


class OpenAIWire(Wire):
    """What OpenAI's API says."""

    def answer(self, path: str, request: Json) -> Json:
        return answer_of(path, request)

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        return events_of(path, request)

    def is_token(self, event: str | bytes) -> bool:
        text = str(event)
        if "partial_image" in text:
            return True
        if '"delta"' not in text and '"text_completion"' not in text:
            return False
        return any(json.dumps(part) in text for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return _error(message, kind)

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(request)


class FakeOpenAI(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(OpenAIWire(), "/v1")


def _error(message: str, kind: str) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def answer_of(path: str, request: Json) -> Json:
    """The whole answer to a request."""
    if path.endswith("/embeddings"):
        return _embeddings(request)
    if path.endswith("/responses"):
        return _response(request)
    if path.endswith("/compact"):
        return {**_response(request), "object": "response.compaction", "output": []}
    if path.endswith("/decisions"):
        return {**_response(request), "answers": [{"type": "predicate", "name": None, "probability": 0.5}]}
    if openai_media.is_media(path):
        return openai_media.answer_of(path, request)
    return _completion(request) if path.endswith("/chat/completions") else _text_completion(request)


def events_of(path: str, request: Json) -> Iterator[str]:
    """The answer to a request for a stream, event by event."""
    if openai_media.is_media(path):
        yield from openai_media.events_of(path, request)
        return
    if path.endswith("/responses"):
        for number, event in enumerate(_response_events(request)):
            data = json.dumps({**event, "sequence_number": number}, separators=(",", ":"))
            yield f"event: {event['type']}\ndata: {data}\n\n"
        return
    for chunk in _chunks(request) if path.endswith("/chat/completions") else _text_chunks(request):
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


# Chat completions.


def _chat_usage() -> Json:
    return {
        "prompt_tokens": USAGE["input"],
        "completion_tokens": USAGE["output"],
        "total_tokens": USAGE["input"] + USAGE["output"],
        "completion_tokens_details": {"reasoning_tokens": 1},
        "prompt_tokens_details": {"cached_tokens": 2},
    }


def _finish(request: Json) -> str:
    return "length" if request["model"] == "limited" else "stop"


def _content(request: Json) -> str:
    return "".join(_parts(request))


def _parts(request: Json) -> tuple[str, ...]:
    if "response_format" in request or "format" in (request.get("text") or {}):
        return STRUCTURED
    return ("You said: ", _prompt(request)) if request["model"] == "parrot" else CONTENT


def _prompt(request: Json) -> str:
    messages = request.get("messages")
    return messages[-1]["content"] if messages else request.get("prompt") or request["input"]


def _completion(request: Json) -> Json:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": _content(request), "refusal": None},
        "finish_reason": _finish(request),
        "logprobs": None,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{request['model']}-0001",
        "choices": [{**choice, "index": index} for index in range(request.get("n") or 1)],
        "usage": _chat_usage(),
    }


def _chunk(request: Json, choices: list[Json], **more: object) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{request['model']}-0001",
        "choices": choices,
        **more,
    }


def _choice(delta: Json, reason: str | None = None, index: int = 0) -> Json:
    return {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}


def _prefill(request: Json, processed: int) -> Json:
    """What llama.cpp tells of a prompt that it is reading."""
    told = {"total": USAGE["input"], "cache": 0, "processed": processed, "time_ms": 1}
    return _chunk(request, [_choice({"role": "assistant", "content": None})], prompt_progress=told)


def _chunks(request: Json) -> Iterator[Json]:
    if request["model"] == "odd":
        yield from _odd_chunks(request)
        return
    if request["model"] == "failing":
        yield _chunk(request, [_choice({"role": "assistant", "content": ""})])
        yield _error("overloaded", "server_error")
        return
    if request.get("return_progress"):
        yield from (_prefill(request, processed) for processed in (0, 4, USAGE["input"]))
    count = request.get("n") or 1
    for index in range(count):
        yield _chunk(request, [_choice({"role": "assistant", "content": ""}, index=index)])
        for part in _parts(request):
            yield _chunk(request, [_choice({"content": part}, index=index)])
        yield _chunk(request, [_choice({}, _finish(request), index=index)])
    if (request.get("stream_options") or {}).get("include_usage"):
        yield _chunk(request, [], usage=_chat_usage())


def _odd_chunks(request: Json) -> Iterator[Json]:
    yield _chunk(request, [])
    yield {**_chunk(request, []), "choices": None}
    yield _chunk(request, [{"index": 0, "delta": None, "finish_reason": None}])
    yield _chunk(request, [_choice({"content": None, "reasoning_content": "hm"})])
    tool = {"index": None, "id": None, "type": None, "function": {"arguments": None}}
    yield _chunk(request, [_choice({"tool_calls": [tool]})])
    yield _chunk(request, [_choice({"content": "a"}, index=2), _choice({"content": "b"})])
    yield _chunk(request, [_choice({}, "stop")], usage=None)
    yield _chunk(request, [], usage={"prompt_tokens": 7, "completion_tokens": None})


# The older completions.


def _text(request: Json, text: str, reason: str | None, **more: object) -> Json:
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    model = f"{request['model']}-0001"
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "choices": [choice], **more}


def _text_completion(request: Json) -> Json:
    return _text(request, "".join(_parts(request)), _finish(request), usage=_chat_usage())


def _text_chunks(request: Json) -> Iterator[Json]:
    if request["model"] == "failing":
        yield _error("overloaded", "server_error")
        return
    for part in _parts(request):
        yield _text(request, part, None)
    yield _text(request, "", _finish(request))
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**_text(request, "", None), "choices": [], "usage": _chat_usage()}


# Responses.


def _response(request: Json, status: str = "completed", **more: object) -> Json:
    cut = request["model"] == "limited"
    part = {"type": "output_text", "text": _content(request), "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if cut else status,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "model": f"{request['model']}-0001",
        "output": [{**item, "content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": USAGE["input"],
            "output_tokens": USAGE["output"],
            "total_tokens": USAGE["input"] + USAGE["output"],
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
        **more,
    }


def _response_events(request: Json) -> Iterator[Json]:
    begun = {**_response(request), "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield {"type": "response.created", "response": begun}
    if request["model"] == "failing":
        error = {"code": "server_error", "message": "overloaded"}
        failed = _response(request, "failed", output=[], usage=None, error=error)
        yield {"type": "response.failed", "response": failed}
        return
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "role": "assistant"}
    text = {"type": "output_text", "annotations": []}
    opened = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
    yield {"type": "response.content_part.added", **where, "part": {**text, "text": ""}}
    for part in _parts(request):
        yield {"type": "response.output_text.delta", **where, "delta": part, "logprobs": []}
    content = _content(request)
    yield {"type": "response.output_text.done", **where, "text": content, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": {**text, "text": content}}
    done = {**item, "status": "completed", "content": [{**text, "text": content}]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}
    final = _response(request)
    yield {"type": f"response.{final['status']}", "response": final}


# Embeddings.


def _embeddings(request: Json) -> Json:
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "model": f"{request['model']}-0001",
        "usage": {"prompt_tokens": USAGE["input"], "total_tokens": USAGE["input"]},
    }
