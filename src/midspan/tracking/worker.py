"""A call in a worker thread or task, and the changes of every operation that runs under it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any

from midspan.core.state import State
from midspan.tracking.tracker import ProgressRegistry

_watched_by: ContextVar[tuple[Under, ...]] = ContextVar("midspan_watched_by", default=())


class Under:
    """Matches the operations that are registered by code running in the worker's context, for all of their life."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self._registry = registry
        self._ids: set[str] = set()

    def __call__(self, state: State) -> bool:
        if state.operation_id in self._ids:
            if state.is_ended:
                self._ids.discard(state.operation_id)
            return True
        if state.started_at is not None or self not in _watched_by.get():
            return False
        self._ids.add(state.operation_id)
        return True

    def request_cancel(self) -> None:
        """Ask those that run to stop. It may be the garbage collector that leaves a stream, so no lock is taken:

        one slot is stored, and the next change tells readers.
        """
        now = self._registry.clock()
        for operation_id in list(self._ids):
            state = self._registry.state(operation_id)
            if state is not None:
                state.cancel_requested_at = state.cancel_requested_at or now


class Worker:
    """Runs a call, keeps its outcome, and tells `changes` when it is over."""

    def __init__(self, call: Callable[[], Any], registry: ProgressRegistry) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self._call = call
        self._under = Under(registry)
        self.changes = registry.subscribe(self._under, eager=True)
        self._context = copy_context()
        self._context.run(_watched_by.set, (*_watched_by.get(), self._under))
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start_thread(self) -> None:
        """Run the call in a thread of its own; an awaitable that it returns is run in a loop of that thread."""
        self._thread = threading.Thread(target=self._context.run, args=(self._run,), name="midspan-stream", daemon=True)
        self._thread.start()

    def start_task(self) -> None:
        """Run the call, a coroutine function, as a task of the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run_task(), context=self._context)

    def _run(self) -> None:
        try:
            value = self._call()
            self.value = asyncio.run(self._await(value)) if inspect.isawaitable(value) else value
        except BaseException as error:  # it is raised again from the stream
            self.error = error
        finally:
            self.changes.close()

    async def _await(self, value: Awaitable[Any]) -> Any:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        return await value

    async def _run_task(self) -> None:
        try:
            self.value = await self._call()
        except BaseException as error:  # it is raised again from the stream
            self.error = error
        finally:
            self.changes.close()

    def cancel(self) -> None:
        """Request the cancellation of what runs: a coroutine is cancelled, anything else has to look."""
        self._under.request_cancel()
        if self._loop is not None and self._task is not None:
            # The loop may have ended in this moment.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def cancelled(self) -> None:
        """As `cancel`, and wait for a task of the running loop to end."""
        self.cancel()
        if self._thread is None and self._task is not None:
            await asyncio.wait([self._task])

    def join(self) -> None:
        """Wait for the thread, if there is one."""
        if self._thread is not None:
            self._thread.join()
