"""Watching one job until it has ended: asked for with the provider's own client, ever less often."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import NamedTuple

from midspan.tracking import instrumenting
from midspan.tracking.instrumenting import Operation
from midspan_instrumentation.jobs._refusing import is_passing, is_unknown, retry_after
from midspan_instrumentation.jobs._table import CREATED, JobReading, JobTable, Poll

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
JITTER = 0.25
MAX_FAILURES = 10
"""In a row, until the last one is the application's."""


class Answer(NamedTuple):
    """What came of asking."""

    value: object = None
    error: Exception | None = None


Step = Operation | float | Callable[[], object]
"""What to do next: hand on a snapshot, sleep for seconds, or ask."""


class JobWatch:
    """The snapshots of one job's operation, as they change, until it has ended; iterate it once, sync or async.

    `trouble` says why the provider could not be asked the last time, None while all is well; `on_trouble` is told it
    at once, also before the job has been seen, where it will be asked again. Raises the SDK's own exception for a job
    that the provider does not know (the operation has failed then), for a refusal, and where the provider could not be
    asked ten times in a row; TimeoutError when the job has not ended in time.
    """

    def __init__(self, table: JobTable, poll: Poll, job_id: str, client: object, timeout: float | None = None) -> None:
        self.trouble: str | None = None
        self.on_trouble: Callable[[str], object] | None = None
        self._table = table
        self._poll = poll
        self._job_id = job_id
        # An address ends with the id: a vector-store file batch is asked for as `vs_…/vsfb_…`.
        self._ids = job_id, job_id.rpartition("/")[2]
        self._client = client
        self._timeout = timeout
        self._tracker: instrumenting.ProgressTracker | None = None

    def __iter__(self) -> Iterator[Operation]:
        course = self._course()
        answer = None
        while (step := _next(course, answer)) is not None:
            if isinstance(step, Operation):
                yield step
            elif callable(step):
                answer = _asked(step)
            else:
                time.sleep(step)

    async def __aiter__(self) -> AsyncIterator[Operation]:
        course = self._course()
        answer = None
        while (step := _next(course, answer)) is not None:
            if isinstance(step, Operation):
                yield step
            elif callable(step):
                answer = await _asked_async(step)
            else:
                await asyncio.sleep(step)

    def _course(self) -> Generator[Step, Answer | None, None]:
        until = None if self._timeout is None else time.monotonic() + self._timeout
        sequence, trouble = -1, None
        failures, pause = 0, FIRST_SECONDS
        while True:
            error = yield from self._look()
            failures = 0 if error is None else failures + 1
            operation = self._seen(error, failures)
            if operation is not None and (operation.sequence, self.trouble) != (sequence, trouble):
                if operation.sequence != sequence:
                    pause = max(FIRST_SECONDS, pause / 2)
                sequence, trouble = operation.sequence, self.trouble
                yield operation
                if operation.is_terminal:
                    return
            yield _bounded(max(_jittered(pause), retry_after(error)), until)
            pause = min(pause * 2, LONGEST_SECONDS)

    def _look(self) -> Generator[Step, Answer | None, Exception | None]:
        """Ask once; returns what went wrong."""
        for ask in self._poll.asks:
            answer = yield lambda ask=ask: ask(self._client, self._job_id)
            assert answer is not None
            if answer.error is not None:
                return answer.error
            self._take(answer.value)
        return None

    def _take(self, answer: object) -> None:
        for reading in self._table.read(answer):
            if reading.id in self._ids:
                self._follow(reading)

    def _follow(self, reading: JobReading) -> None:
        state = instrumenting.saw_job(self._table.provider, reading, self._table.states, CREATED, self._client)
        if state is not None:
            self._tracker = instrumenting.tracker_of(state)

    def _seen(self, error: Exception | None, failures: int) -> Operation | None:
        """The operation now. Raises the error if asking again is no use."""
        trouble = None if error is None else f"{type(error).__name__}: {error}"
        news, self.trouble = trouble != self.trouble, trouble
        if error is not None and (not is_passing(error) or failures >= MAX_FAILURES):
            if is_unknown(error):
                self._fail(error)
            raise error
        if trouble is not None and news and self.on_trouble is not None:
            self.on_trouble(trouble)
        if self._tracker is None and error is None:
            raise LookupError(f"what {self._table.provider} has answered is not the job {self._job_id!r}")
        return None if self._tracker is None else self._tracker.get_progress_details()

    def _fail(self, error: Exception) -> None:
        provider, poll = self._table.provider, self._poll
        seen = (each for each in self._ids if instrumenting.find_job(provider, each) is not None)
        asked = JobReading(next(seen, self._job_id), kind=poll.operation_type or poll.kind, name=poll.kind)
        instrumenting.refused_job(provider, asked, instrumenting.error_info(error))


def _next(course: Generator[Step, Answer | None, None], answer: Answer | None) -> Step | None:
    try:
        return course.send(answer)
    except StopIteration:
        return None


def _asked(ask: Callable[[], object]) -> Answer:
    # What it sees is taken over here, once.
    with instrumenting.disabled():
        try:
            value = ask()
        except Exception as error:
            return Answer(error=error)
    if inspect.isawaitable(value):
        getattr(value, "close", bool)()
        raise TypeError("this client is asynchronous: use `async for`")
    return Answer(value)


async def _asked_async(ask: Callable[[], object]) -> Answer:
    with instrumenting.disabled():
        try:
            value = ask()
            return Answer(await value if inspect.isawaitable(value) else value)
        except Exception as error:
            return Answer(error=error)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)


def _bounded(seconds: float, until: float | None) -> float:
    if until is None:
        return seconds
    left = until - time.monotonic()
    if left <= 0.0:
        raise TimeoutError("the job has not ended in time")
    return min(seconds, left)
