"""One reader of changes: the newest state of each operation, and every ending and stage change, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from types import TracebackType
from typing import Self

from midspan.core.operation import Operation

Wanted = Callable[[Operation], bool]

MAX_DUE = 1000
MAX_PENDING = 10_000


class Reader:
    """Made by `Hub.open`, used in one event loop: `async with` it, or `close` it when done.

    Progress that nobody has read yet is replaced by newer progress. Endings and stage changes (what is *due*) each stay
    in line, at most 1,000 of them: one more and the reader is `overflowed`, which keeps the newest state of what is in
    line already, and takes in nothing else. `closed` is true once the reader is closed, or the hub is.
    """

    def __init__(
        self,
        leave: Callable[[Reader], object],
        wanted: Wanted | None = None,
        operation_id: str | None = None,
        principal: str | None = None,
    ) -> None:
        self.operation_id = operation_id
        self.principal = principal
        self.overflowed = False
        self.closed = False
        self._leave = leave
        self._wanted = wanted
        self._shown: set[str] = set()
        self._due = 0
        self._pending: dict[tuple[str, int], Operation] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._due_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- the hub's side -----------------------------------------------------------------------

    def offer(self, operation: Operation, due: bool) -> None:
        """Told by the hub about a change."""
        if self.closed or not self._concerns(operation):
            return
        progress = (operation.operation_id, 0)
        if self.overflowed:
            if progress in self._pending:
                self._pending[progress] = operation
            return
        if due:
            self._pending.pop(progress, None)
            self._due += 1
        self._pending[(operation.operation_id, operation.sequence) if due else progress] = operation
        if self._due > MAX_DUE or len(self._pending) > MAX_PENDING:
            self._overflow()
        self._wake()

    def _concerns(self, operation: Operation) -> bool:
        """True for what the reader wants, and for the change by which a thing that it was shown leaves that."""
        if self._wanted is None:
            return True
        wanted = self._wanted(operation)
        if wanted and not operation.is_terminal:
            if len(self._shown) < MAX_PENDING:
                self._shown.add(operation.operation_id)
            return True
        left = operation.operation_id in self._shown
        self._shown.discard(operation.operation_id)
        return wanted or left

    def _overflow(self) -> None:
        self.overflowed = True
        newest = {operation.operation_id: operation for operation in self._pending.values()}
        self._pending = {(operation_id, 0): operation for operation_id, operation in newest.items()}

    def shut(self) -> None:
        """Told by the hub that nothing more will come: what is pending can still be read."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- the reader's side --------------------------------------------------------------------

    def show(self, operations: Iterable[Operation]) -> None:
        """Note what the reader was shown otherwise, in a first snapshot: it is told when one of them leaves."""
        if self._wanted is not None:
            running = (each.operation_id for each in operations if not each.is_terminal)
            self._shown.update(islice(running, MAX_PENDING))

    async def next(self, within: float | None = None) -> list[Operation]:
        """What has changed, oldest change first, waiting for the first of it; [] after `within` seconds.

        Also [] when the reader is closed: look at `closed` then.
        """
        if not self._pending and not self.closed:
            await self._wait(within)
        taken, self._pending, self._due = list(self._pending.values()), {}, 0
        return taken

    async def _wait(self, within: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        if within is not None:
            self._ring_at(loop, loop.time() + max(0.0, within))
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._due_at = None

    def _ring_at(self, loop: asyncio.AbstractEventLoop, due_at: float) -> None:
        """Wake the waiter at that time of the loop. One timer does for many waits, nearly all of which end early."""
        self._due_at = due_at
        if self._timer is not None and self._timer.when() > due_at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(due_at, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._due_at is None or self.closed:
            return
        if self._due_at > loop.time():
            self._ring_at(loop, self._due_at)
        else:
            self._wake()

    def close(self) -> None:
        """Read no more; once is enough. Whoever waits in `next` is woken."""
        self.shut()
        if self._timer is not None:
            self._timer.cancel()
        self._leave(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
