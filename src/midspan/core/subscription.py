"""A reader's view of changes: the newest state of each changed operation, never an unbounded queue.

A slow reader skips what lies between, and misses no ending while fewer than 10,000 operations wait to be read.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self

from midspan.core.operation import Operation
from midspan.core.snapshot import snapshot
from midspan.core.state import State

MAX_PENDING = 10_000


class Subscription:
    """Iterate it, or take batches with `wait` and `wait_async`; close it, or leave its `with` block, when done.

    `matches` chooses operations; `eager` asks for every update at once instead of at the pulse's rate. `dropped` counts
    changes that nobody has read in time: of more than 10,000 operations that wait, the oldest makes room.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        close: Callable[[Subscription], None],
        matches: Callable[[State], bool] | None = None,
        eager: bool = False,
    ) -> None:
        self.eager = eager
        self.closed = False
        self.dropped = 0
        self._clock = clock
        self._close = close
        self._matches = matches
        self._pending: dict[str, State] = {}
        self._set_locks()
        self._wakers: list[Callable[[], object]] = []

    def _set_locks(self) -> None:
        # An Event has a plain lock inside, on which a signal handler would wait for its own thread.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._is_ready = False

    def offer(self, state: State) -> None:
        """Told by the registry that `state` has changed."""
        if self._matches is not None and not self._matches(state):
            return
        with self._lock:
            self._pending[state.operation_id] = state
            if len(self._pending) > MAX_PENDING:
                del self._pending[next(iter(self._pending))]
                self.dropped += 1
        self._wake()

    def _wake(self) -> None:
        if not self._is_ready:
            with self._changed:
                self._is_ready = True
                self._changed.notify_all()
            for waker in list(self._wakers):
                waker()

    def take(self) -> list[Operation]:
        """What has changed since the last time, at once; often empty."""
        with self._lock:
            pending, self._pending = self._pending, {}
            self._is_ready = self.closed
        now = self._clock()
        return [snapshot(state, now) for state in pending.values()]

    def wait(self, timeout: float | None = None) -> list[Operation]:
        """Changed operations, waiting for the first of them for at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready, timeout)
        return self.take()

    async def wait_async(self, within: float | None = None) -> list[Operation]:
        """As `wait`, for at most `within` seconds, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def waker() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        self._wakers.append(waker)
        try:
            if not self._is_ready:
                await asyncio.wait_for(event.wait(), within)
        except TimeoutError:
            return []
        finally:
            self._wakers.remove(waker)
        return self.take()

    def __iter__(self) -> Iterator[Operation]:
        while not self.closed:
            yield from self.wait()
        yield from self.take()

    async def __aiter__(self) -> AsyncIterator[Operation]:
        while not self.closed:
            for operation in await self.wait_async():
                yield operation
        for operation in self.take():
            yield operation

    def close(self) -> None:
        """End the subscription: iteration stops after what is pending."""
        self.closed = True
        self._close(self)
        self._wake()

    def forked(self) -> None:
        """In a forked child: nothing comes any more, and a thread that is not there may have held the lock.

        The wakers belong to the parent's event loops, which they would wake from here.
        """
        self._set_locks()
        self._pending, self._wakers = {}, []
        self.closed = self._is_ready = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
