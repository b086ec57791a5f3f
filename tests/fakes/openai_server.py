"""OpenAI's wire format over real HTTP on loopback: completions (new and old), responses and embeddings.

What happens is chosen by the model that is asked for, so that one server serves every test:

| model      | what the server does                                                               |
|------------|------------------------------------------------------------------------------------|
| `ok`       | answers with `CONTENT`                                                              |
| `refused`  | status 400                                                                         |
| `flaky`    | status 500 to each first attempt, then answers                                     |
| `silent`   | takes the request and sends nothing until the server closes                        |
| `hanging`  | a stream's first two tokens, then nothing until the server closes                  |
| `cut`      | closes the connection in the middle of the answer                                  |
| `gated`    | sends each event of a stream only when `gate.release()` lets it                    |
| `limited`  | an answer cut at its token limit                                                   |
| `failing`  | the server reports an error inside the stream (responses: `response.failed`)       |
| `echoing`  | status 400, with an error that repeats the prompt                                  |
| `parrot`   | answers with the prompt, in two parts                                              |
| `odd`      | chunks with null, missing and empty parts, as some services send them              |
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

CONTENT = ("It", " works", ".")
USAGE = {"input": 7, "output": 3}
DEADLINE = 30.0

Json = dict[str, Any]


class FakeOpenAI:
    """The server, in a thread of its own, until the end of the `with` block.

    `requests` are the bodies received, in order; `gate` paces the model `gated`.
    """

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.gate = threading.Semaphore(0)
        self.closing = threading.Event()
        self.turns = itertools.cycle((True, False))
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        """What an SDK's client is given."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def port(self) -> int:
        """The free port that was picked."""
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the tests."""


class _CutError(Exception):
    """The connection ends here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def fake(self) -> FakeOpenAI:
        return self.server.fake  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read no access log."""

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        request: Json = json.loads(self.rfile.read(length))
        self.fake.requests.append(request)
        try:
            self._answer(request)
        except (_CutError, OSError):
            # Ours, or the client has gone.
            self.close_connection = True

    def _answer(self, request: Json) -> None:
        model, path = request["model"], self.path.partition("?")[0]
        if model == "refused":
            self._send_json(_error("no such thing", "invalid_request_error"), status=400)
        elif model == "echoing":
            self._send_json(_error(f"not acceptable: {_prompt(request)}", "invalid_request_error"), status=400)
        elif model == "flaky" and next(self.fake.turns):
            self._send_json(_error("try again", "server_error"), status=500)
        elif model == "silent":
            self._hang()
        elif request.get("stream"):
            self._send_events(model, events_of(path, request))
        else:
            self._send_json(answer_of(path, request), cut=model == "cut")

    def _send_json(self, body: Json, status: int = 200, cut: bool = False) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            raise _CutError

    def _send_events(self, model: str, events: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        tokens = 0
        for event in events:
            if model == "gated":
                self.fake.gate.acquire(timeout=DEADLINE)
            self._send_part(event)
            tokens += _is_token(event)
            if tokens == 2 and model == "hanging":
                self._hang()
            if tokens == 2 and model == "cut":
                raise _CutError
        self.wfile.write(b"0\r\n\r\n")

    def _send_part(self, event: str) -> None:
        part = event.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def _hang(self) -> None:
        self.fake.closing.wait(DEADLINE)
        raise _CutError


def _is_token(event: str) -> bool:
    if '"delta"' not in event and '"text_completion"' not in event:
        return False
    return any(json.dumps(part) in event for part in CONTENT)


def _error(message: str, kind: str) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def answer_of(path: str, request: Json) -> Json:
    """The whole answer to a request."""
    if path.endswith("/embeddings"):
        return _embeddings(request)
    if path.endswith("/responses"):
        return _response(request)
    return _completion(request) if path.endswith("/chat/completions") else _text_completion(request)


def events_of(path: str, request: Json) -> Iterator[str]:
    """The answer to a request for a stream, event by event."""
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
    structured = "response_format" in request or "format" in (request.get("text") or {})
    return '{"answer": "It works."}' if structured else "".join(_parts(request))


def _parts(request: Json) -> tuple[str, ...]:
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


def _chunks(request: Json) -> Iterator[Json]:
    if request["model"] == "odd":
        yield from _odd_chunks(request)
        return
    if request["model"] == "failing":
        yield _chunk(request, [_choice({"role": "assistant", "content": ""})])
        yield _error("overloaded", "server_error")
        return
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
