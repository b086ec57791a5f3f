"""The native event streams: `GET /v1/operations/{id}/stream` and `GET /v1/stream`.

Events: `snapshot` (of one operation its whole row; of many `{"operations": [...], "complete": bool}`, where more than
64 KiB of rows go on as changes), then for each change `update` (the row without its history) and at last `end` (the
whole row). `reset` comes before a snapshot that replaces what the reader knew; `overflow` and `bye` come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.core.wire import encode
from midspan.server.auth import access_of
from midspan.server.hub import Hub
from midspan.server.parameters import FILTERS, Parameter, repeatable
from midspan.server.query import allow_only, selection, single
from midspan.server.resume import Beginning, EventId, beginning_of_many, read_event_id, resume_one, wanted_by
from midspan.server.rows import Rows
from midspan.server.sse import EventStream, frame
from midspan.server.visible import asked_operation

_ID = {"type": "string", "pattern": "^[0-9]{1,24}-[0-9]{1,16}$"}
RESUME = (
    Parameter("last_event_id", "id of the last event received, where the header Last-Event-ID cannot be sent", _ID),
    Parameter("after", "the same as last_event_id", _ID),
)
IDS = repeatable("ids", "ids of operations")
STREAM = (IDS, *(each for each in FILTERS if each.name != "updated_since"), *RESUME)

RESET_FRAME = frame('{"reason":"gone"}', event="reset")
_UNREADABLE = EventId(-1, 0)


def stream_routes(registry: Registry, hub: Hub, rows: Rows) -> list[Route]:
    """The two routes."""
    streams = _Streams(registry, hub, rows)
    return [Route("/v1/operations/{id}/stream", streams.one), Route("/v1/stream", streams.many)]


class _Streams:
    def __init__(self, registry: Registry, hub: Hub, rows: Rows) -> None:
        self.registry = registry
        self.hub = hub
        self.rows = rows

    # --- one operation ------------------------------------------------------------------------

    async def one(self, request: Request) -> Response:
        """`GET /v1/operations/{id}/stream`: 204 to a reader that has seen the ending already."""
        allow_only(request.query_params, RESUME)
        last, access = last_event_id(request), access_of(request.scope)
        asked_operation(self.registry, request)
        reader = self.hub.open(operation_id=request.path_params["id"], principal=access.principal)
        try:
            operation = asked_operation(self.registry, request)
            if operation.is_terminal and last == EventId.of(operation):
                reader.close()
                return Response(status_code=204)
            told = _Told(self.rows, operation, last)
            return EventStream(reader, told.render, first=told.first, is_over=operation.is_terminal)
        except BaseException:
            reader.close()
            raise

    # --- many ---------------------------------------------------------------------------------

    async def many(self, request: Request) -> Response:
        """`GET /v1/stream`."""
        allow_only(request.query_params, STREAM)
        wanted, access = selection(request.query_params), access_of(request.scope)
        last = last_event_id(request)
        reader = self.hub.open(wanted_by(wanted, access), operation_ids=wanted.ids, principal=access.principal)
        try:
            beginning = await run_in_threadpool(beginning_of_many, self.registry, wanted, access, last, self.hub.epoch)
            reader.show(beginning.operations)
            return EventStream(reader, self._render, first=self._first(beginning))
        except BaseException:
            reader.close()
            raise

    def _first(self, beginning: Beginning) -> Iterator[bytes]:
        changed = beginning.operations
        if beginning.is_reset:
            yield RESET_FRAME
        if not beginning.is_resumed:
            rows, changed = self.rows.snapshot(beginning.operations)
            body = {"operations": rows, "complete": beginning.is_complete}
            yield frame(encode(body), event="snapshot", id=str(beginning.event_id))
        for operation in changed:
            yield from self._render(operation)

    def _render(self, operation: Operation) -> Iterator[bytes]:
        yield self.rows.framed(operation, EventId.among(operation, self.hub.epoch))


class _Told:
    """What one reader of one operation was told: nothing twice, nothing older than what it knows."""

    def __init__(self, rows: Rows, operation: Operation, last: EventId | None) -> None:
        self._rows = rows
        self._sequence = operation.sequence
        self.first = list(self._beginning(operation, last))

    def _beginning(self, operation: Operation, last: EventId | None) -> Iterator[bytes]:
        missed = resume_one(operation, last) if last is not None else None
        if missed is None:
            if last is not None:
                yield RESET_FRAME
            yield frame(encode(self._rows.whole(operation)), event="snapshot", id=str(EventId.of(operation)))
            missed = (operation,) if operation.is_terminal else ()
        for state in missed:
            yield self._frame(state)

    def render(self, operation: Operation) -> Iterable[bytes]:
        """The frame of a change that is new."""
        if operation.sequence <= self._sequence:
            return ()
        self._sequence = operation.sequence
        return (self._frame(operation),)

    def _frame(self, operation: Operation) -> bytes:
        return self._rows.framed(operation, EventId.of(operation))


def last_event_id(request: Request) -> EventId | None:
    """The last event that the reader has. A header that is no id of ours gets a new snapshot, a parameter 400."""
    for name in ("last_event_id", "after"):
        given = read_event_id(single(request.query_params, name), name)
        if given is not None:
            return given
    header = request.headers.get("last-event-id")
    return None if not header else EventId.read(header) or _UNREADABLE
