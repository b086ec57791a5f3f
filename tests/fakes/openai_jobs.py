"""OpenAI's jobs over its SDK's own transport: each look at a job gets the next of the answers that it was given."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import openai

from tests.fakes.openai_calls import http

Json = dict[str, Any]
CREATED_AT = 1_700_000_000
"""The start of the tests' own clock."""


def batch(status: str = "in_progress", done: int = 0, failed: int = 0, total: int = 0, **more: Any) -> Json:
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file_1",
        "completion_window": "24h",
        "status": status,
        "created_at": CREATED_AT,
        "request_counts": {"total": total, "completed": done, "failed": failed},
        **more,
    }


def fine_tuning(status: str = "running", **more: Any) -> Json:
    return {
        "id": "ftjob-1",
        "object": "fine_tuning.job",
        "model": "gpt-4o-mini",
        "status": status,
        "created_at": CREATED_AT,
        "hyperparameters": {"n_epochs": 1},
        "organization_id": "org",
        "result_files": [],
        "seed": 1,
        "training_file": "file_1",
        **more,
    }


def metrics(step: int, total: int) -> Json:
    return {
        "object": "fine_tuning.job.event",
        "id": f"ftevent-{step}",
        "created_at": CREATED_AT,
        "level": "info",
        "message": f"Step {step}/{total}",
        "type": "metrics",
        "data": {"step": step, "total_steps": total, "train_loss": 0.5},
    }


def page(*entries: Json, more: bool = False) -> Json:
    return {"object": "list", "data": list(entries), "has_more": more}


def video(status: str, progress: int, **more: Any) -> Json:
    return {
        "id": "video_1",
        "object": "video",
        "model": "sora-2",
        "status": status,
        "progress": progress,
        "created_at": CREATED_AT,
        "seconds": "4",
        "size": "720x1280",
        **more,
    }


def file_batch(status: str, **counts: int) -> Json:
    return {
        "id": "vsfb_1",
        "object": "vector_store.files_batch",
        "vector_store_id": "vs_1",
        "status": status,
        "created_at": CREATED_AT,
        "file_counts": {"total": 0, "completed": 0, "failed": 0, "cancelled": 0, "in_progress": 0, **counts},
    }


def upload(status: str, size: int = 10) -> Json:
    return {
        "id": "upload_1",
        "object": "upload",
        "bytes": size,
        "filename": "data",
        "purpose": "batch",
        "status": status,
        "created_at": CREATED_AT,
        "expires_at": CREATED_AT + 3600,
    }


def background(status: str, **more: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "background": True,
        "created_at": CREATED_AT,
        "status": status,
        "model": "gpt-5",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        **more,
    }


WORDS = ("It", " works", ".")
SPENT = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def events(status: str = "completed", **more: Any) -> list[Json]:
    """The stream of a background response, which ends with this status: 5 events, a delta for each word, 4 more."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item: Json = {"type": "message", "id": "msg_1", "role": "assistant"}
    part: Json = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    done: Json = {**item, "status": "completed", "content": [part]}
    last = background(status, **{"usage": SPENT, "output": [done], **more})
    told: list[Json] = [
        *({"type": f"response.{name}", "response": background("queued")} for name in ("created", "queued")),
        {"type": "response.in_progress", "response": background("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "", "content": []}},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in WORDS),
        {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": f"response.{status}", "response": last},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]


FIRST_WORD = 5
"""The number of the first delta."""


@dataclass(frozen=True)
class Streamed:
    """An answer that streams these events, from the one after that which was asked for, and `until` one.

    Then the body ends; or it is `lost` with the connection, or `hangs`.
    """

    events: list[Json]
    until: int | None = None
    lost: bool = False
    hangs: bool = False

    def response(self, request: Any) -> Any:
        """For the SDK's own transport."""
        first = int(request.url.params.get("starting_after", -1)) + 1
        parts = [raw(event) for event in self.events[first : self.until]]
        lost = http.ReadError("lost") if self.lost else None
        return http.Response(
            200, headers={"content-type": "text/event-stream"}, stream=_Body(parts, lost, self.hangs), request=request
        )


def raw(event: Json) -> bytes:
    """An event as it is sent."""
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


class _Body(http.SyncByteStream, http.AsyncByteStream):
    def __init__(self, parts: list[bytes], lost: Exception | None, hangs: bool) -> None:
        self._parts, self._lost, self._hangs = parts, lost, hangs

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._lost is not None:
            raise self._lost

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part
        if self._hangs:
            await asyncio.Event().wait()


class FakeJobs:
    """What the service answers: for `POST /batches`, say, one answer after the other, and the last one again.

    An answer is a JSON object, a stream, or a status with headers; whatever has none is not known.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._answers: dict[str, list[Any]] = defaultdict(list)

    def tell(self, method: str, path: str, *answers: Any) -> FakeJobs:
        """These are the answers to come; returns itself."""
        self._answers[f"{method} {path}"] = list(answers)
        return self

    def respond(self, request: Any) -> Any:
        """For the SDK's own transport."""
        path = request.url.path.removeprefix("/v1")
        self.requests.append(f"{request.method} {path}")
        answers = self._answers[f"{request.method} {path}"]
        if not answers:
            return http.Response(404, json={"error": {"message": "No such thing", "type": "invalid_request_error"}})
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, tuple):
            return http.Response(answer[0], headers=answer[1], json={"error": {"message": "no", "type": "refused"}})
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Streamed):
            return answer.response(request)
        return http.Response(200, json=answer)

    def client(self, **more: Any) -> openai.OpenAI:
        """A client that gets these answers."""
        transport = http.Client(transport=http.MockTransport(self.respond))
        return openai.OpenAI(
            api_key="x", base_url="http://jobs.example/v1", http_client=transport, max_retries=0, **more
        )

    def async_client(self) -> openai.AsyncOpenAI:
        """The same of the asynchronous kind."""
        transport = http.AsyncClient(transport=http.MockTransport(self.respond))
        return openai.AsyncOpenAI(api_key="x", base_url="http://jobs.example/v1", http_client=transport, max_retries=0)
