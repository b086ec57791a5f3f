"""Reading along in the same process: `watch` one operation, or be called back with `on_progress`."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self

from midspan.core import failures
from midspan.core.operation import Operation
from midspan.core.state import State
from midspan.core.subscription import Subscription
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

CHECK_SECONDS = 1.0
"""How often a reader looks by itself, for operations whose end nobody publishes."""


class ProgressCallback:
    """A running callback: `unsubscribe()` ends it, and so does leaving its `with` block."""

    def __init__(
        self, callback: Callable[[Operation], object], operation_id: str | None, registry: ProgressRegistry
    ) -> None:
        self._callback = callback
        self._registry = registry
        self._raised = False
        matches = None if operation_id is None else _Only(operation_id)
        self._changes = registry.subscribe(matches, eager=True)
        self._thread = threading.Thread(target=self._read, name="midspan-on-progress", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._changes.closed:
            self._call(self._changes.wait(CHECK_SECONDS))
            self._registry.reap()
        self._call(self._changes.take())

    def _call(self, operations: list[Operation]) -> None:
        for operation in operations:
            try:
                self._callback(operation)
            except Exception:
                self._log_first()

    def _log_first(self) -> None:
        if not self._raised:
            self._raised = True
            failures.logger.exception("midspan: the callback given to on_progress raised; more of that is not logged")

    def unsubscribe(self, timeout: float | None = 5.0) -> None:
        """Call back with what is pending, then no more; waits for that for at most `timeout` seconds."""
        self._changes.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unsubscribe()


def on_progress(
    callback: Callable[[Operation], object],
    operation_id: str | None = None,
    *,
    registry: ProgressRegistry | None = None,
) -> ProgressCallback:
    """Call `callback` with a snapshot of each operation that changes, or of one only, from a thread of its own.

    A slow callback skips what lies between, never an ending. The first exception that it raises is logged. Returns the
    handle to end it with. Raises TypeError for what cannot be called.
    """
    if not callable(callback):
        raise TypeError(f"callback must be callable, not {type(callback).__name__}")
    return ProgressCallback(callback, operation_id, get_progress_registry() if registry is None else registry)


class Watch:
    """The snapshots of one operation, as they change, until it has ended; iterate it once, sync or async."""

    def __init__(self, operation_id: str, timeout: float | None, registry: ProgressRegistry) -> None:
        self._operation_id = operation_id
        self._registry = registry
        self._timeout = timeout
        first = registry.get(operation_id)
        if first is None:
            raise LookupError(f"no operation {operation_id!r} is known")
        self._first = first
        self._sequence = -1

    def __iter__(self) -> Iterator[Operation]:
        only, changes, until = self._begin()
        try:
            found = [self._first]
            while True:
                for operation in self._new(found):
                    yield operation
                    if operation.is_terminal:
                        return
                found = changes.wait(_left(until)) or self._look()
        finally:
            only.left = True

    async def __aiter__(self) -> AsyncIterator[Operation]:
        only, changes, until = self._begin()
        try:
            found = [self._first]
            while True:
                for operation in self._new(found):
                    yield operation
                    if operation.is_terminal:
                        return
                found = await changes.wait_async(_left(until)) or self._look()
        finally:
            only.left = True

    def _begin(self) -> tuple[_Only, Subscription, float | None]:
        only = _Only(self._operation_id)
        changes = only.changes = self._registry.subscribe(only, eager=True)
        self._first = self._registry.get(self._operation_id) or self._first
        return only, changes, None if self._timeout is None else time.monotonic() + self._timeout

    def _look(self) -> list[Operation]:
        """The operation as it is now, without a change having been told. Raises LookupError when it is gone."""
        operation = self._registry.get(self._operation_id)
        if operation is None:
            raise LookupError(f"operation {self._operation_id!r} is no longer known")
        return [operation]

    def _new(self, found: list[Operation]) -> list[Operation]:
        """Those that differ from what was seen last."""
        new = [operation for operation in found if operation.sequence != self._sequence or operation.is_terminal]
        if new:
            self._sequence = new[-1].sequence
        return new


def watch(operation_id: str, timeout: float | None = None, *, registry: ProgressRegistry | None = None) -> Watch:
    """Iterate (`for` or `async for`) an operation's snapshots: as it is now, then as it changes, until it has ended.

    Raises LookupError when there is no such operation, and TimeoutError when it has not ended after `timeout` seconds.
    """
    return Watch(operation_id, timeout, get_progress_registry() if registry is None else registry)


def _left(until: float | None) -> float:
    if until is None:
        return CHECK_SECONDS
    left = until - time.monotonic()
    if left <= 0.0:
        raise TimeoutError("the operation has not ended in time")
    return min(left, CHECK_SECONDS)


class _Only:
    """Matches one operation. After a reader has left, the next change of any operation closes its subscription:

    a generator may be left inside the garbage collector, where the registry's lock must not be taken.
    """

    __slots__ = ("changes", "left", "operation_id")

    def __init__(self, operation_id: str) -> None:
        self.operation_id = operation_id
        self.changes: Subscription | None = None
        self.left = False

    def __call__(self, state: State) -> bool:
        if self.left and self.changes is not None:
            self.changes.close()
        return not self.left and state.operation_id == self.operation_id
