"""One run of a task: its operation begins, ends and is cancelled with it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from midspan.core import failures
from midspan.core.operation import Status
from midspan.tracking.outcome import outcome_of, plain_result
from midspan.tracking.run import Run
from midspan.tracking.tracker import ProgressTracker

if TYPE_CHECKING:
    from midspan.tracking.runner import Runner


class _JobRun(Run):
    """As `Run`; the reason of a cancellation that was asked for is the one that was given."""

    __slots__ = ()

    def left(self, tracker: ProgressTracker, error: BaseException | None) -> None:
        if tracker.state.cancel_reason is not None and outcome_of(error).status is Status.CANCELLED:
            tracker.cancel()
        else:
            super().left(tracker, error)


class Job:
    """One started task and its operation."""

    __slots__ = ("_call", "_runner", "is_async", "is_queued", "task", "tracker")

    def __init__(self, tracker: ProgressTracker, call: Callable[[], Any], is_async: bool, runner: Runner) -> None:
        self.tracker = tracker
        self.is_async = is_async
        self.is_queued = False
        self.task: asyncio.Task[None] | None = None
        self._call = call
        self._runner = runner
        tracker.state.cancel_mode = "native" if is_async else "cooperative"
        tracker.state.on_cancel = self._on_cancel

    def run(self) -> None:
        """Run the task, here and now. It never raises."""
        with self._ending():
            value = self._begin()
            # A coroutine function behind a plain decorator.
            self._complete(asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value)

    async def run_async(self) -> None:
        """As `run`, for a coroutine function."""
        with self._ending():
            self._complete(await self._begin())

    def _begin(self) -> Any:
        if self.tracker.cancel_requested:
            raise asyncio.CancelledError
        return self._call()

    @contextmanager
    def _ending(self) -> Generator[None]:
        """The operation ends the way that the body is left, which is told to nobody else: nobody waits for it."""
        name = self.tracker.state.name
        try:
            with _JobRun(self.tracker):
                try:
                    yield
                except Exception:
                    failures.logger.warning("midspan: task %s has failed", name, exc_info=True)
                    raise
        except BaseException as error:
            # A thread's SystemExit ends nothing but the task, and a cancelled one has its status.
            failures.logger.debug("midspan: task %s was left by %s", name, type(error).__name__)

    def _complete(self, value: object) -> None:
        tracker = self.tracker
        if tracker.is_ended:  # the task has ended its operation itself
            return
        if value is not None and plain_result(value) is None:
            self._runner.results_dropped += 1
            tracker.update(result_truncated=True)
        tracker.complete(result=value)

    def leave(self) -> None:
        """The job is over, or will never run."""
        self.tracker.state.on_cancel = None
        if not self.tracker.is_ended:
            self.tracker.cancel()

    def cancel_task(self) -> None:
        """In the event loop: cancel the coroutine."""
        if self.task is not None:
            self.task.cancel()

    def _on_cancel(self) -> None:
        self._runner.cancel(self)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
