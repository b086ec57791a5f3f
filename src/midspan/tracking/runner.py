"""Jobs, so many at a time: sync ones in threads, async ones in one event loop; the next ones queue."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import deque
from contextvars import Context
from time import monotonic
from weakref import WeakSet

from midspan.tracking.cancelling import request_cancel
from midspan.tracking.job import Job

MAX_RUNNING = 8
MAX_QUEUED = 100
EXIT_SECONDS = 1.0


class TasksFullError(RuntimeError):
    """As many tasks as are allowed run and wait already."""


class Runner:
    """Runs jobs, at most `max_running` at a time; at most `max_queued` more wait, first come, first served."""

    def __init__(self, max_running: int = MAX_RUNNING, max_queued: int = MAX_QUEUED) -> None:
        self.max_running, self.max_queued = max_running, max_queued
        self.results_dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.forked()
        _runners.add(self)

    def forked(self) -> None:
        """What runs and waits is the parent's; so are its threads and its event loop."""
        self._lock = threading.Condition()
        self._places = 0
        self._is_stopping = False
        self._jobs: set[Job] = set()
        self._queue: deque[Job] = deque()
        if self._loop is not None:
            # Dropped here, it would take the parent's descriptors out of what the parent waits for.
            _inherited.append(self._loop)
        self._loop = None
        self._loop_thread: threading.Thread | None = None

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._jobs)

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    def reserve(self) -> None:
        """Take a place for a job that `begin` will be called with. Raises TasksFullError."""
        with self._lock:
            if self._is_stopping:
                raise TasksFullError("tasks are being stopped: no more are taken now")
            if self._places >= self.max_running + self.max_queued:
                raise TasksFullError(f"{self.running} tasks run and {self.queued} wait: no more are taken now")
            self._places += 1

    def release(self) -> None:
        """Give a reserved place back."""
        with self._lock:
            self._places -= 1

    def begin(self, job: Job) -> None:
        """Run the job now, or when it is its turn. A place was reserved for it."""
        _end_at_exit()
        with self._lock:
            job.is_queued = len(self._jobs) >= self.max_running
            (self._queue.append if job.is_queued else self._jobs.add)(job)
        if not job.is_queued:
            self._run(job)

    def cancel(self, job: Job) -> None:
        """Native where that is possible: a waiting job is never run, a coroutine is cancelled."""
        with self._lock:
            waited = job.is_queued
            if waited:
                self._queue.remove(job)
                job.is_queued = False
                self._places -= 1
            loop = self._loop if job.is_async else None
        if waited:
            job.leave()
        elif loop is not None:
            loop.call_soon_threadsafe(job.cancel_task)

    def _run(self, job: Job) -> None:
        try:
            if job.is_async:
                self._running_loop().call_soon_threadsafe(self._create_task, job)
            else:
                threading.Thread(target=self._in_thread, args=(job,), name="midspan-task", daemon=True).start()
        except RuntimeError as error:  # no more threads
            job.tracker.fail(error)
            self._left(job)

    def _in_thread(self, job: Job) -> None:
        # The context of whoever asked is not the task's: a server's says that its calls must not be seen.
        Context().run(job.run)
        self._left(job)

    def _create_task(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        job.task = loop.create_task(job.run_async(), context=Context())
        job.task.add_done_callback(lambda _: self._left(job))

    def _left(self, job: Job) -> None:
        job.leave()
        following = None
        with self._lock:
            self._jobs.discard(job)
            self._places -= 1
            if self._queue and len(self._jobs) < self.max_running:
                following = self._queue.popleft()
                following.is_queued = False
                self._jobs.add(following)
            self._lock.notify_all()
        if following is not None:
            self._run(following)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run_loop, args=(loop,), name="midspan-tasks", daemon=True)
                self._loop_thread = thread
                thread.start()
            return self._loop

    def stop(self, reason: str, within: float = EXIT_SECONDS) -> None:
        """Ask everything to stop, for `reason`, and wait at most `within` seconds; what goes on is left to itself.

        Nothing new is taken until then.
        """
        until = monotonic() + within
        with self._lock:
            self._is_stopping = True
            jobs = [*self._queue, *self._jobs]
        for job in jobs:
            request_cancel(job.tracker.registry, job.tracker.operation_id, reason)
        with self._lock:
            while self._jobs and (left := until - monotonic()) > 0:
                self._lock.wait(left)
            loop, thread = self._loop, self._loop_thread
            self._loop = self._loop_thread = None
            self._is_stopping = False
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(within)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


_runners: WeakSet[Runner] = WeakSet()
_inherited: list[asyncio.AbstractEventLoop] = []


def _end_at_exit() -> None:
    """Last registered is first called: before operations that still run are given up as lost."""
    atexit.unregister(_exit)
    atexit.register(_exit)


def _exit() -> None:
    for runner in list(_runners):
        runner.stop("process exit")
