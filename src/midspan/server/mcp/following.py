"""Waiting for an operation, and telling how far it is meanwhile, as `notifications/progress` wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from midspan.core.operation import Operation
from midspan.server.hub import Hub

Report = Callable[[float, float | None, str | None], Awaitable[None]]
"""Sends (progress, total, message) to whoever has called."""

INTERVAL = 0.5
PERCENT = 100.0
UNKNOWN_STEP = 0.001


class Notes:
    """What is told of an operation: at most twice a second, and each number larger than the one before.

    The total is 100, and none as long as the progress is unknown: then a number a thousandth larger says no more than
    that something has changed.
    """

    def __init__(self, report: Report | None, clock: Callable[[], float] = monotonic) -> None:
        self._report = report
        self._clock = clock
        self._told = 0.0
        self._due = clock()
        self._said: tuple[int, str | None] | None = None

    async def tell(self, operation: Operation) -> None:
        """Tell it, if it is new, and if it is time."""
        says = self._says(operation)
        if self._report is None or says == self._said or self.left() > 0:
            return
        known = operation.progress is not None
        value = operation.progress * PERCENT if operation.progress is not None else self._told + UNKNOWN_STEP
        if value <= self._told or (not known and says[1] is None):
            return
        self._said, self._told, self._due = says, value, self._clock() + INTERVAL
        await self._report(value, PERCENT if known else None, says[1])

    def wait(self, operation: Operation, at_most: float | None) -> float | None:
        """Seconds until there is something to tell of it as it is now, at most `at_most`; None: without a limit."""
        left = self.left()
        is_held_back = left > 0 and self._report is not None and self._says(operation) != self._said
        waits = [each for each in (at_most, left if is_held_back else None) if each is not None]
        return min(waits, default=None)

    def left(self) -> float:
        """Seconds until it is time again."""
        return max(0.0, self._due - self._clock())

    def _says(self, operation: Operation) -> tuple[int, str | None]:
        return operation.sequence, operation.message or operation.stage


async def follow(
    hub: Hub,
    operation_id: str,
    find: Callable[[], Operation],
    *,
    principal: str | None = None,
    within: float | None = None,
    until: Callable[[Operation], bool],
    report: Report | None = None,
) -> Operation:
    """The operation once it has ended, it is as `until` wants it, the server stops, or `within` seconds are over.

    `find` gives it as it is now, and raises what it raises for one that is gone. Raises Problem (503, 429) where too
    many wait already.
    """
    loop = asyncio.get_running_loop()
    deadline = None if within is None else loop.time() + within
    notes = Notes(report)
    async with hub.open(operation_id=operation_id, principal=principal) as reader:
        operation = find()
        while not (operation.is_terminal or until(operation) or reader.closed):
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                break
            await notes.tell(operation)
            await reader.next(notes.wait(operation, left))
            operation = find()
    await notes.tell(operation)
    return operation
