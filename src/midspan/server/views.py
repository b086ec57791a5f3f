"""The subscriptions of one WebSocket: each a reader, and a task that tells what it brings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.core.wire import encode
from midspan.server.hub import Hub
from midspan.server.messages import Subscribe
from midspan.server.problem import Problem
from midspan.server.reader import Reader
from midspan.server.resume import Beginning, EventId, beginning_of_many, read_event_id, wanted_by
from midspan.server.rows import Rows, kind_of
from midspan.server.tokens import Access

MAX_SUBSCRIPTIONS = 16
MAX_BATCH_BYTES = 64 * 1024
GOING_AWAY, TRY_LATER = 1001, 1013
MAX_REASON_BYTES = 123
"""A close frame takes no more (RFC 6455, section 5.5)."""


class Closing(Exception):  # noqa: N818 - no error
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")


class Views:
    """`send` takes one message, as bytes."""

    def __init__(self, registry: Registry, hub: Hub, rows: Rows, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.registry = registry
        self.hub = hub
        self.rows = rows
        self._send_bytes = send
        self._readers: dict[str, Reader] = {}

    async def open(self, message: Subscribe, access: Access) -> Coroutine[Any, Any, None]:
        """Tell what the subscription begins with; returns what tells the changes, to be run beside all else.

        Raises Problem for a wrong message, and where there are too many.
        """
        wanted, last = message.selection(), read_event_id(message.after, "after")
        if len(self._readers) >= MAX_SUBSCRIPTIONS and message.id not in self._readers:
            raise Problem(409, "too-many-subscriptions", f"a connection has {MAX_SUBSCRIPTIONS} subscriptions at most")
        self._drop(message.id)
        reader = self.hub.open(wanted_by(wanted, access), operation_ids=wanted.ids, principal=access.principal)
        self._readers[message.id] = reader
        beginning = await run_in_threadpool(beginning_of_many, self.registry, wanted, access, last, self.hub.epoch)
        reader.show(beginning.operations)
        await self._send({"type": "subscribed", "id": message.id})
        await self._begin(message.id, beginning)
        return self._tell(message.id, reader)

    async def leave(self, subscription: str) -> None:
        """End a subscription. Raises Problem (404) where there is none with this id."""
        if subscription not in self._readers:
            raise Problem(404, "subscription-not-found", f"there is no subscription {subscription!r}")
        self._drop(subscription)
        await self._send({"type": "unsubscribed", "id": subscription})

    def close(self) -> None:
        """End all of them."""
        for reader in list(self._readers.values()):
            reader.close()

    def _drop(self, subscription: str) -> None:
        reader = self._readers.pop(subscription, None)
        if reader is not None:
            reader.close()

    async def _begin(self, subscription: str, beginning: Beginning) -> None:
        changed = beginning.operations
        if beginning.is_reset:
            await self._send({"type": "reset", "id": subscription, "reason": "gone"})
        if not beginning.is_resumed:
            rows, changed = self.rows.snapshot(beginning.operations)
            head = {"type": "snapshot", "id": subscription, "event_id": str(beginning.event_id)}
            await self._send({**head, "operations": rows, "complete": beginning.is_complete})
        await self._send_changes(subscription, changed)

    async def _tell(self, subscription: str, reader: Reader) -> None:
        while True:
            changed = await reader.next()
            if self._readers.get(subscription) is not reader:
                return
            await self._send_changes(subscription, changed)
            if reader.overflowed:
                await self._send({"type": "overflow", "id": subscription})
                raise Closing(TRY_LATER, "too slow")
            if reader.closed:
                raise Closing(GOING_AWAY, "shutdown")

    async def _send_changes(self, subscription: str, changed: Iterable[Operation]) -> None:
        batch: list[bytes] = []
        size = 0
        for operation in changed:
            batch.append(self._change(subscription, operation))
            size += len(batch[-1])
            if size >= MAX_BATCH_BYTES:
                await self._send_batch(batch)
                batch, size = [], 0
        await self._send_batch(batch)

    def _change(self, subscription: str, operation: Operation) -> bytes:
        event_id = EventId.among(operation, self.hub.epoch)
        return encode(
            {
                "type": kind_of(operation),
                "id": subscription,
                "op": operation.operation_id,
                "seq": operation.sequence,
                "event_id": str(event_id),
                "operation": msgspec.Raw(self.rows.encoded(operation)),
            }
        )

    async def _send_batch(self, batch: list[bytes]) -> None:
        if len(batch) == 1:
            await self._send_bytes(batch[0])
        elif batch:
            await self._send_bytes(b'{"type":"batch","events":[' + b",".join(batch) + b"]}")

    async def _send(self, message: dict[str, object]) -> None:
        await self._send_bytes(encode(message))
