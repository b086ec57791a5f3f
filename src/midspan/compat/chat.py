"""Seed S2's vocabulary: an awaited `update(stage, percent, message)`, whose events go to a callback of yours."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from midspan.core import failures, transitions
from midspan.core.state import State
from midspan.core.transitions import Transition
from midspan.core.vocabulary import enhanced_progress
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry
from midspan.tracking.tracker import ProgressTracker as Tracker

Event = dict[str, Any]
SseCallback = Callable[[Event], object]

MAX_DELIVERIES = 1000


async def create_progress_aware_task(
    task_id: str | None = None,
    sse_callback: SseCallback | None = None,
    streaming: bool = True,
    *,
    registry: ProgressRegistry | None = None,
) -> ProgressTracker:
    """A tracker of the task (seed S2-03): of the one that runs with this id, or of a new one.

    `sse_callback` is given each `enhanced_progress` event, and may be a coroutine function; the API shows the task
    without it. `streaming` is shown as `task_info.streaming_enabled` of a new one. Raises TypeError or ValueError for a
    bad id.
    """
    return ProgressTracker(task_id, sse_callback, streaming, registry=registry)


class ProgressTracker:
    """Writes one operation in the words of seed S2. What it returns may be awaited, and need not be (ruling C3).

    An asynchronous callback that is slow has 1,000 events before it at most; `dropped` counts those left out since.
    """

    def __init__(
        self,
        task_id: str | None = None,
        sse_callback: SseCallback | None = None,
        streaming: bool = True,
        *,
        registry: ProgressRegistry | None = None,
    ) -> None:
        registry = get_progress_registry() if registry is None else registry
        running = None if task_id is None else registry.state(task_id)
        if running is None:
            self.tracker = registry.create_tracker(task_id, metadata={"streaming_enabled": streaming})
        else:
            self.tracker = Tracker.of(registry, running)
        self._callback = sse_callback
        self._raised = False
        self.dropped = 0
        self._deliveries: set[asyncio.Task[None]] = set()

    @property
    def task_id(self) -> str:
        """The operation's id, whatever a vocabulary calls it (ruling C4)."""
        return self.tracker.operation_id

    def update(self, stage: str | int, percent: float | str | None = None, message: str | None = None) -> Told:
        """`update(stage, percent, message)` with 0 to 100, or `update(step, message)`: a number is a step (seed S2-04).

        Clamped, dropped and counted as `midspan.ProgressTracker.update` does; raises TypeError for a wrong type only.
        """
        if isinstance(stage, int):
            self.tracker.update(stage, message if percent is None else str(percent))
        else:
            self.tracker.apply(_moving(str(stage), None if percent is None else float(percent) / 100, message))
        return self._tell()

    def complete(self, result: object = None, message: str | None = None) -> Told:
        """End as completed; `result` goes into `enhanced_complete`."""
        self.tracker.complete(message, result)
        return self._tell()

    def fail(self, error: BaseException | str) -> Told:
        """End as failed: readers get `enhanced_error`."""
        self.tracker.fail(error)
        return self._tell()

    def _tell(self) -> Told:
        if self._callback is None:
            return Told(None)
        if len(self._deliveries) >= MAX_DELIVERIES:
            self.dropped += 1
            return Told(None)
        try:
            said = self._callback(enhanced_progress(self.tracker.get_progress_details()))
            return Told(self._delivery(said) if inspect.isawaitable(said) else None)
        except Exception:
            self._log_first()
            return Told(None)

    def _delivery(self, said: Awaitable[object]) -> asyncio.Task[None]:
        """Begun at once, so that updates arrive in their order whether or not somebody awaits them."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if inspect.iscoroutine(said):
                said.close()  # else Python would say that nobody has awaited it
            raise
        delivery = loop.create_task(self._deliver(said))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        return delivery

    async def _deliver(self, said: Awaitable[object]) -> None:
        try:
            await said
        except Exception:
            self._log_first()

    def _log_first(self) -> None:
        if not self._raised:
            self._raised = True
            failures.logger.exception("midspan: the sse_callback of %s raised; more is not logged", self.task_id)


class Told:
    """What `update` returns: it has happened already, and awaiting waits for the callback, if that takes time."""

    __slots__ = ("_delivery",)

    def __init__(self, delivery: asyncio.Task[None] | None) -> None:
        self._delivery = delivery

    def __await__(self) -> Generator[Any, None, None]:
        if self._delivery is not None:
            yield from self._delivery.__await__()


def _moving(stage: str, progress: float | None, message: str | None) -> Transition:
    """The stage, the message and the progress at once: no reader sees one without the others."""

    def move(state: State, now: float) -> int:
        if stage == state.stage:
            return transitions.update(state, now, message=message, progress=progress)
        return transitions.enter_stage(state, now, stage, message, progress)

    return move
