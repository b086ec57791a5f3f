"""Fans the changes of a registry out to the readers of every live surface: SSE, WebSocket, the dialects.

Each event loop has one subscription and one task, from its first reader to its last, so that the hub works in the
embedded server, in an app that midspan is mounted in, and in several of them after each other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

from midspan.core import failures
from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.server.changes import Changes
from midspan.server.leaving import server_is_leaving
from midspan.server.problem import Problem
from midspan.server.reader import Reader, Wanted

MAX_READERS = 1000
MAX_READERS_OF_PRINCIPAL = 20
RETRY_SECONDS = 5
GAP_SECONDS = 0.005
"""At least this long between two looks, so that a burst of changes is handed out together."""
CHECK_SECONDS = 0.5


class Hub:
    """The readers of one app. `max_readers` is for all of them together, 20 for each principal that is told."""

    def __init__(self, registry: Registry, *, max_readers: int = MAX_READERS) -> None:
        self.registry = registry
        self.max_readers = max_readers
        self.closed = False
        self._pumps: dict[asyncio.AbstractEventLoop, _Pump] = {}
        self._begun = int(registry.clock() * 1e6)

    @property
    def epoch(self) -> int:
        """Different for every hub and process: what an event id of a stream of many is good for."""
        return self._begun * 10_000_000 + os.getpid() % 10_000_000

    def open(
        self,
        wanted: Wanted | None = None,
        *,
        operation_id: str | None = None,
        operation_ids: frozenset[str] | None = None,
        principal: str | None = None,
    ) -> Reader:
        """A reader of the running event loop: of one operation, of certain ones, or of all; those `wanted` among them.

        Take the first snapshot after this call, then nothing is missed in between. Raises Problem: 503 when there are
        `max_readers` or the hub is closed, 429 when `principal` has 20.
        """
        self._forget_dead()
        self._check_room(principal)
        loop = asyncio.get_running_loop()
        pump = self._pumps.get(loop)
        if pump is None:
            pump = self._pumps[loop] = _Pump(self.registry, self._ended)
        followed = operation_ids if operation_id is None else frozenset((operation_id,))
        return pump.open(Reader(pump.leave, wanted, operation_id, principal), followed)

    def _check_room(self, principal: str | None) -> None:
        readers = [reader for pump in list(self._pumps.values()) for reader in list(pump.readers)]
        if self.closed:
            raise _refusal(503, "the server is about to stop")
        if len(readers) >= self.max_readers:
            raise _refusal(503, f"{self.max_readers} streams are open already")
        own = sum(reader.principal == principal for reader in readers) if principal is not None else 0
        if own >= MAX_READERS_OF_PRINCIPAL:
            raise _refusal(429, f"{MAX_READERS_OF_PRINCIPAL} streams are open with this token already")

    def _forget_dead(self) -> None:
        """Loops that were closed with readers in them, and those of the parent in a forked child."""
        for loop, pump in list(self._pumps.items()):
            if loop.is_closed() or pump.changes.closed:
                pump.changes.close()
                self._pumps.pop(loop, None)

    def _ended(self, pump: _Pump) -> None:
        if self._pumps.get(pump.loop) is pump:
            del self._pumps[pump.loop]

    @property
    def reader_count(self) -> int:
        """How many readers there are, in all event loops."""
        return sum(len(pump.readers) for pump in list(self._pumps.values()))

    def readers_of(self, operation_id: str) -> int:
        """How many readers follow this one operation (seed S2-24)."""
        return sum(pump.readers_of(operation_id) for pump in list(self._pumps.values()))

    def close(self) -> None:
        """Tell every reader that this is the end, and take no more. From any thread; once is enough."""
        self.closed = True
        for pump in list(self._pumps.values()):
            if not pump.loop.is_closed():
                pump.loop.call_soon_threadsafe(pump.finish)

    def reopen(self) -> None:
        """Take readers again: the app has a new life."""
        self.closed = False


def _refusal(status: int, detail: str) -> Problem:
    return Problem(status, "too-many-streams", detail, headers={"retry-after": str(RETRY_SECONDS)})


class _Pump:
    """The readers of one event loop, their one subscription, and the task between."""

    def __init__(self, registry: Registry, ended: Callable[[_Pump], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.readers: dict[Reader, frozenset[str] | None] = {}
        self._following: dict[str | None, dict[Reader, None]] = {}
        self._ended = ended
        self._reading = Changes(registry.clock())
        self.changes = registry.subscribe()
        self._task = self.loop.create_task(self._run())

    def open(self, reader: Reader, followed: frozenset[str] | None) -> Reader:
        """Add a reader of the operations that are `followed`; None: of all."""
        self.readers[reader] = followed
        for operation_id in (None,) if followed is None else followed:
            self._following.setdefault(operation_id, {})[reader] = None
        return reader

    def readers_of(self, operation_id: str) -> int:
        """How many of them follow this one operation."""
        return len(self._following.get(operation_id, ()))

    def leave(self, reader: Reader) -> None:
        """Take a reader away; once is enough."""
        followed = self.readers.pop(reader, None)
        for operation_id in (None,) if followed is None else followed:
            group = self._following.get(operation_id, {})
            group.pop(reader, None)
            if not group:
                self._following.pop(operation_id, None)
        if not self.readers:
            self._stop()

    def _stop(self) -> None:
        self.changes.close()
        self._ended(self)
        self._task.cancel()

    def finish(self) -> None:
        """The hub is closed: what has changed until now is handed out, an ending too, and then every reader ends."""
        try:
            self._hand_out_all(self.changes.take())
        except Exception:
            failures.report("hub")
        finally:
            self.shut()

    def shut(self) -> None:
        """Nothing more will come: every reader ends."""
        for reader in list(self.readers):
            reader.shut()

    async def _run(self) -> None:
        try:
            while not self.changes.closed:
                self._hand_out_all(await self.changes.wait_async(CHECK_SECONDS))
                if server_is_leaving():
                    self.finish()
                await asyncio.sleep(GAP_SECONDS)
        except Exception:
            failures.report("hub")
        finally:
            self.changes.close()
            self._ended(self)
            self.shut()

    def _hand_out_all(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            readers = [*self._following.get(operation.operation_id, ()), *self._following.get(None, ())]
            for state, due in self._reading.read(operation):
                for reader in readers:
                    reader.offer(state, due)
