"""Ollama's wire format: chats, generations and embeddings; a stream is one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

STARTED = "2026-01-02T03:04:05.6789Z"


class OllamaWire(Wire):
    """What the server says."""

    event_type = "application/x-ndjson"

    def is_streamed(self, path: str, request: Json) -> bool:
        # The server streams unless it is asked not to, and embeddings never.
        return "embed" not in path and bool(request.get("stream", True))

    def answer(self, path: str, request: Json) -> Json:
        if path.endswith("/embed"):
            embeddings = {"embeddings": [[0.5, 0.25]], "prompt_eval_count": USAGE["input"], "total_duration": 9}
            return {"model": f"{request['model']}-0001", **embeddings}
        if path.endswith("/embeddings"):
            return {"embedding": [0.5, 0.25]}
        return _line(path, request, "".join(_parts(path, request)), _end(request))

    def events(self, path: str, request: Json) -> Iterator[str]:
        for line in _odd_lines(path, request) if request["model"] == "odd" else _lines(path, request):
            yield f"{json.dumps(line)}\n"

    def is_token(self, event: str | bytes) -> bool:
        return any(f": {json.dumps(part)}" in str(event) for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"error": message}

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(path, request)


class FakeOllama(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(OllamaWire())


def _prompt(path: str, request: Json) -> str:
    if path.endswith("/chat"):
        return request["messages"][-1]["content"]
    return request.get("prompt") or request["input"]


def _parts(path: str, request: Json) -> tuple[str, ...]:
    return ("You said: ", _prompt(path, request)) if request["model"] == "parrot" else CONTENT


def _line(path: str, request: Json, written: str, end: Json | None = None, **more: object) -> Json:
    said = {"message": {"role": "assistant", "content": written, **more}} if path.endswith("/chat") else {}
    told = said or {"response": written, **more}
    return {"model": f"{request['model']}-0001", "created_at": STARTED, **told, "done": end is not None, **(end or {})}


def _end(request: Json) -> Json:
    return {
        "done_reason": "length" if request["model"] == "limited" else "stop",
        "total_duration": 9_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": USAGE["input"],
        "prompt_eval_duration": 2_000_000,
        "eval_count": USAGE["output"],
        "eval_duration": 3_000_000,
    }


def _lines(path: str, request: Json) -> Iterator[Json]:
    if request["model"] == "failing":
        yield _line(path, request, CONTENT[0])
        yield {"error": "overloaded"}
        return
    if request.get("think"):
        yield _line(path, request, "", thinking="Hm")
    for part in _parts(path, request):
        yield _line(path, request, part)
    for tool in request.get("tools") or ():
        function = {"name": tool["function"]["name"], "arguments": {"city": "Oslo"}}
        yield _line(path, request, "", tool_calls=[{"function": function}])
    yield _line(path, request, "", _end(request))


def _odd_lines(path: str, request: Json) -> Iterator[Json]:
    yield _line(path, request, "")
    yield {**_line(path, request, "a"), "done": None, "model": None, "of_the_future": [1]}
    yield _line(path, request, "b", thinking=None)
    # A server of before 2024: no reason, and no counts where the prompt was known.
    yield {**_line(path, request, ""), "done": True, "eval_count": 2}
