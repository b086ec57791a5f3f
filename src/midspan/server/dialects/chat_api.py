"""Seed S2's routes: one task as data-only events, enhanced or legacy, each at its own path; and starting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.vocabulary import Row
from midspan.core.wire import encode
from midspan.server.answers import json_response
from midspan.server.auth import access_of
from midspan.server.body import read_body
from midspan.server.dialects.chat import (
    enhanced_events,
    enhanced_status,
    legacy_events,
    legacy_status,
    progress_info,
    task_info,
)
from midspan.server.dialects.view import View, route
from midspan.server.hub import Hub
from midspan.server.resume import EventId, resume_one
from midspan.server.sse import EventStream, comment, frame
from midspan.server.tasks import start_task
from midspan.tracking.tasks import Tasks

Events = Callable[[Operation], list[Row]]

TASK = "ask-question"
ENHANCED, LEGACY = "/api/v1/streaming-chat", "/api/v1/async-chat"
BYE = comment("bye")
"""A named event would be one that seed S2's clients cannot see (ruling C8)."""


class Frames:
    """Events → data-only frames of one connection; a progress event that says nothing new is left out."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._last: Row = {}

    def __call__(self, operation: Operation) -> Iterable[bytes]:
        """The frames of one change."""
        for event in self._events(operation):
            said = {name: value for name, value in event.items() if name != "timestamp"}
            if said != self._last:
                self._last = said
                yield frame(encode(event), id=str(EventId.of(operation)))


def missed(now: Operation, last: EventId | None) -> Sequence[Operation]:
    """What a reader has not seen: each stage that was entered (since `last`, where that can be known), and `now`."""
    if now.status is Status.PENDING:
        return ()
    found = None if last is None else resume_one(now, last)
    if found is None:
        found = resume_one(now, EventId(now.epoch, 0))
    return (now,) if found is None else found


def enhanced_ping(since: float) -> bytes:
    """Seed S2-13; `since` is on the clock of `time.monotonic`."""
    return frame(encode({"type": "enhanced_ping", "connection_alive_seconds": round(monotonic() - since)}))


def chat_routes(registry: Registry, hub: Hub, tasks: Tasks) -> list[Route]:
    """The routes of seed S2, both generations. `ask-question` starts the task of that name with the body."""
    chat = Chat(registry, hub, tasks)
    return [
        route(f"{ENHANCED}/ask-question", chat.ask, ["POST"]),
        route(f"{LEGACY}/ask-question", chat.ask, ["POST"]),
        route(f"{ENHANCED}/sse/{{id}}", chat.enhanced),
        route(f"{LEGACY}/sse/{{id}}", chat.legacy),
        route(f"{ENHANCED}/progress/{{id}}", chat.progress),
    ]


class Chat:
    """The endpoints over one registry, one hub and its tasks."""

    def __init__(self, registry: Registry, hub: Hub, tasks: Tasks) -> None:
        self.view = View(registry, "task")
        self.hub = hub
        self.tasks = tasks

    async def ask(self, request: Request) -> Response:
        """`POST …/ask-question`: 202, and where to watch (seed S2-20)."""
        body = await read_body(request, dict[str, Any])
        principal = access_of(request.scope).principal
        task_id = start_task(self.tasks, TASK, body, principal=principal, metadata=task_info(body))
        below = request.scope.get("root_path", "")
        started = {
            "task_id": task_id,
            "sse_url": f"{below}{LEGACY}/sse/{task_id}",
            "enhanced_sse_url": f"{below}{ENHANCED}/sse/{task_id}",
            "status": "queued",
            "streaming_enabled": bool(body.get("enable_streaming", True)),
        }
        return json_response(started, {"location": f"{below}/v1/operations/{task_id}"}, 202)

    async def enhanced(self, request: Request) -> Response:
        """`GET /api/v1/streaming-chat/sse/{id}`."""
        since = monotonic()
        return self._stream(request, enhanced_status, enhanced_events, lambda: enhanced_ping(since))

    async def legacy(self, request: Request) -> Response:
        """`GET /api/v1/async-chat/sse/{id}`."""
        return self._stream(request, legacy_status, legacy_events, comment("ping"))

    def _stream(
        self,
        request: Request,
        status: Callable[[Operation], Row],
        events: Events,
        heartbeat: bytes | Callable[[], bytes],
    ) -> Response:
        reader, now = self.view.open(self.hub, request)
        last = EventId.read(request.headers.get("last-event-id", ""))
        if now.is_terminal and last == EventId.of(now):
            reader.close()
            return Response(status_code=204)  # the one answer after which a browser does not come back
        frames = Frames(events)
        first = [frame(encode(status(now))), *(each for change in missed(now, last) for each in frames(change))]
        return EventStream(
            reader,
            frames,
            first=first,
            is_over=now.is_terminal,
            heartbeat=heartbeat,
            overflow=BYE,
            farewell=lambda reason: BYE,
        )

    async def progress(self, request: Request) -> Response:
        """`GET /api/v1/streaming-chat/progress/{id}`."""
        now = self.view.one(request)
        return json_response(progress_info(now, self.hub.readers_of(now.operation_id)))
