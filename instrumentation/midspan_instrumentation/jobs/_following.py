"""Following a job by the stream of what it makes: a look at it that lasts. What the events say is the one operation's.

Only an event ends that. However the application leaves the stream, the job goes on at the provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, Final, Self, cast

from midspan.tracking import instrumenting
from midspan.tracking.instrumenting import JobReading, Stage
from midspan_instrumentation._body import ObservedBody, observe
from midspan_instrumentation._content import chunk_reader
from midspan_instrumentation._guard import guarded
from midspan_instrumentation.jobs._table import JobStream, JobTable
from midspan_instrumentation.provider import ChunkReader, no_tokens, replace
from midspan_instrumentation.providers._fields import own

_ANSWERING: Final[str] = Stage.STREAMING_RESPONSE


class JobCounts(instrumenting.Counts):
    """The counts of a job that is followed by one stream after another, which bring some events again.

    `newest` is the number of the last event that is counted, `unseen` the operation's limit while nobody follows it.
    """

    newest: int = -1
    unseen: float = 0.0

    @classmethod
    def of(cls, tracker: instrumenting.ProgressTracker) -> Self:
        """Those of an operation; what its own call has counted, from the first event on, is in them."""
        state = tracker.state
        known = state.counts
        if isinstance(known, cls):
            return known
        made = cls()
        made.unseen = state.stall_after
        if known is not None:
            made.singles, made.others, made.tokens_of_others = known.singles, known.others, known.tokens_of_others
            made.bytes, made.passed, made.failed = known.bytes, known.passed, known.failed
            made.newest = known.chunks - 1
        state.counts = made
        return made


def left(table: JobTable, job_id: str, state: str | None, tracker: instrumenting.ProgressTracker) -> None:
    """A stream of a running job has been left in this state: that is its stage again."""
    if not tracker.is_ended:
        instrumenting.saw_job(table.provider, JobReading(job_id, state), table.states)


class FollowedStream:
    """One stream of a job. `client` is the one that can ask for the job; `after` is the number of the event before its
    first one, or -1.

    The operation is the job's own, or opened with the first event.
    """

    __slots__ = (
        "_client", "_counts", "_early", "_id", "_is_followed", "_is_left", "_last", "_number", "_read", "_stream",
        "_table", "_tracker", "_word",
    )  # fmt: skip

    follows_iterators = True
    is_ended = False

    def __init__(self, table: JobTable, stream: JobStream, client: object, job_id: str, after: int) -> None:
        self._table, self._stream, self._client = table, stream, client
        self._id, self._number = job_id, after
        self._word = stream.working.state
        self._tracker: instrumenting.ProgressTracker | None = None
        self._counts: JobCounts | None = None
        self._read: ChunkReader = no_tokens
        self._early = 0
        self._last = b""
        self._is_followed = self._is_left = False

    @property
    def tracker(self) -> Self:
        """What is asked whether it is over, where the SDK makes the stream of a raw response later."""
        return self

    def follow(self, iterator: object) -> object | None:
        """The iterator to put in the place of the SDK's own; None where there is none, as in a raw response."""
        self._is_followed = isinstance(iterator, (AsyncIterator, Iterator))
        if isinstance(iterator, AsyncIterator):
            return _iterate_async(cast(AsyncIterator[object], iterator), self)
        return _iterate(cast(Iterator[object], iterator), self) if isinstance(iterator, Iterator) else None

    # What the iterator sees.

    def take(self, event: object) -> None:
        """An event: it tells of the job, or it brings a part of the answer."""
        # Without the guard's own function: it runs for every event.
        try:
            number, job = self._stream.read_event(event)
            if self._tracker is None:
                self._open(job)
            tracker, counts = self._tracker, self._counts
            if tracker is None or counts is None or tracker.is_ended:
                return
            self._number = number = number if number.__class__ is int else self._number + 1
            if number > counts.newest:
                counts.newest = number
                found = self._read(event) if job is None else 0
                counts.add(found if isinstance(found, int) else found.tokens)
            if job is not None or tracker.state.stage != _ANSWERING:
                self._tell(self._reading_of(job))
                _listen(tracker)
        except Exception:
            instrumenting.report_failure("job")

    @guarded("job")
    def left(self, error: BaseException | None = None) -> None:
        """The application reads no more of it: there is none, it got this exception, or it has dropped the stream."""
        self._leave(isinstance(error, GeneratorExit))

    # What the body sees.

    @guarded("job")
    def received(self, part: bytes) -> None:
        """Bytes have arrived, before the first event or after."""
        self._last = part
        if self._counts is None:
            self._early += len(part)
        else:
            self._counts.bytes += len(part)

    @guarded("job")
    def body_read(self) -> None:
        """The body has been read to its end: by the application itself, if nobody makes events of it."""
        mark = self._stream.target.end_mark
        if not self._is_followed and mark is not None and mark in self._last:
            self._tell(replace(self._stream.working, id=self._id, state=self._stream.completed))

    @guarded("job")
    def body_raised(self, error: BaseException) -> None:
        """Reading the body failed, or was interrupted."""
        self._leave(isinstance(error, GeneratorExit))

    @guarded("job")
    def body_closed(self, during: type[BaseException] | None) -> None:
        """The body has been closed, while this kind of exception was being handled (or none)."""
        self._leave(during is GeneratorExit)

    @guarded("job")
    def body_dropped(self) -> None:
        """The body is being destroyed, possibly by the garbage collector, inside any lock."""
        self._leave(is_dropped=True)

    def _reading_of(self, job: object | None) -> JobReading:
        """What an event says of the job: at least that its answer is being made."""
        stream = self._stream
        told = replace(stream.working, stage=_ANSWERING) if job is None else stream.read_job(job)
        self._word = told.state
        return replace(told, id=self._id)

    def _tell(self, told: JobReading) -> Any:
        return instrumenting.saw_job(self._table.provider, told, self._table.states, client=self._client)

    def _open(self, job: object | None) -> None:
        state = self._tell(self._reading_of(job))
        if state is None:
            return
        self._tracker = tracker = cast(instrumenting.CallTracker, instrumenting.tracker_of(state))
        if tracker.is_ended:
            return
        self._counts = counts = JobCounts.of(tracker)
        counts.bytes += self._early
        self._read = chunk_reader(tracker, self._stream.target)
        _listen(tracker)

    def _leave(self, is_dropped: bool) -> None:
        tracker, counts = self._tracker, self._counts
        if self._is_left or tracker is None or counts is None:
            return
        self._is_left = True
        # Of a stream that was dropped no more than this: it may be the garbage collector that calls.
        tracker.state.stall_after = counts.unseen
        if not is_dropped:
            left(self._table, self._id, self._word, tracker)


def _listen(tracker: instrumenting.ProgressTracker) -> None:
    """Somebody reads what the job makes: silence means something."""
    state = tracker.state
    state.stall_after = tracker.registry.stall_limit(state.operation_type)


def follow(watch: FollowedStream, result: Any, is_async: bool) -> None:
    """Tell `watch` what becomes of the stream that a call has returned, or of a raw response that has one."""
    response = own(result, "http_response") or own(result, "response")
    body = getattr(response, "stream", None)
    if isinstance(body, ObservedBody):
        return  # it is a part of another call
    if body is not None:
        response.stream = observe(body, watch, is_async)
    watching = watch.follow(own(result, "_iterator"))
    if watching is not None:
        result._iterator = watching


def _iterate(iterator: Iterator[object], watch: FollowedStream) -> Generator[object, None, None]:
    try:
        for event in iterator:
            watch.take(event)
            yield event
    except BaseException as error:
        watch.left(error)
        raise
    watch.left()


async def _iterate_async(iterator: AsyncIterator[object], watch: FollowedStream) -> AsyncGenerator[object, None]:
    try:
        async for event in iterator:
            watch.take(event)
            yield event
    except BaseException as error:
        watch.left(error)
        raise
    watch.left()
