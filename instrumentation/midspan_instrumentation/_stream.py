"""Watching a stream: its life from the HTTP body, its content from the SDK's own iterator.

The SDK's stream object stays what it is. Whatever the application does with it, one of these sees
the ending: the iterator (exhausted, raised, dropped), or the body (read, closed, failed, dropped).
The iterator goes first while it runs, because it sees the exception that the application sees.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation import _content
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._layers import Layers
from midspan_instrumentation.provider import ChunkReader, Reading, Target, no_tokens, replace

Watching = Generator[object, None, None] | AsyncGenerator[object, None]


def record(tracker: instrumenting.CallTracker, reading: Reading) -> None:
    """Store what a reader found: identity, usage, and a failure that the server reported."""
    attributes: dict[str, object] = {}
    if reading.id is not None:
        attributes["gen_ai.response.id"] = reading.id
    if reading.model is not None:
        attributes["gen_ai.response.model"] = reading.model
    if reading.finish_reasons:
        # A list: each tuple costs the SDK two lookups that it keeps for a list's type.
        attributes["gen_ai.response.finish_reasons"] = list(reading.finish_reasons)
    if attributes:
        tracker.set_attributes(attributes)
    usage = reading.usage
    if usage is not None:
        tracker.record_usage(usage.input, usage.output, usage.reasoning, usage.cached)
    failure = reading.failure
    if failure is not None:
        tracker.fail_as(failure.type, failure.message)


def read_answer(tracker: instrumenting.CallTracker, target: Target, answer: object) -> Reading | None:
    """Store what a whole answer says; returns it."""
    try:
        content = tracker.state.content
        if content is not None:
            _content.answered(content, target, answer)
        found = target.read_response(answer)
        record(tracker, found)
        return found
    except Exception:
        instrumenting.report_failure("response reader")
        return None


class Watch:
    """What is known about one response whose body was not read when the SDK got it.

    `held` is True until the SDK's method has returned: until then the call itself decides how the
    operation ends. `is_over` tells that the body was read or closed meanwhile. `is_generator` is for an answer that is
    a plain generator: what becomes of that is told by `left` and `dropped`.
    """

    __slots__ = (
        "_choices", "_dropped", "_followed", "_last", "_layers", "_reasons", "_watching", "held", "is_generator",
        "is_over", "target", "tracker",
    )  # fmt: skip

    follows_iterators = True
    """Whether the SDK's own iterator tells how the stream ends."""

    def __init__(self, tracker: instrumenting.CallTracker, target: Target, choices: int) -> None:
        self.tracker = tracker
        self.target = target
        self.held = True
        self.is_generator = False
        self.is_over = False
        self._choices = choices
        self._dropped = False
        self._followed = False
        self._watching: Callable[[], Watching | None] = _nobody
        self._last = b""
        self._layers: Layers | None = None
        self._reasons: tuple[str, ...] = ()

    @property
    def has_end_mark(self) -> bool:
        """True once the provider itself has said that the answer is complete."""
        if len(self._reasons) >= self._choices:
            return True
        mark = self.target.end_mark
        return mark is not None and mark in self._last

    def follow(self, iterator: object) -> Watching | None:
        """The iterator to put in the place of the SDK's own; None if it is of an unknown kind."""
        watching: Watching
        read = _content.chunk_reader(self.tracker, self.target)
        if isinstance(iterator, AsyncIterator):
            watching = _iterate_async(cast(AsyncIterator[object], iterator), self, read)
        elif isinstance(iterator, Iterator):
            watching = _iterate(cast(Iterator[object], iterator), self, read)
        else:
            return None
        # Weak: the body must not keep alive a stream that the application has dropped.
        self._watching = weakref.ref(watching)
        self._followed = True
        return watching

    # What the iterator sees.

    @guarded("stream")
    def begin(self, chunk: object) -> bool:
        """The first chunk is there: it also tells which model answers, under which id.

        False for one before it, by which the server only tells how much of the prompt it has processed.
        """
        processed = self.target.read_processed(chunk)
        if processed is not None:
            self.tracker.prompt_processed(processed.tokens, processed.total)
            return False
        self.tracker.first_chunk()
        found = self.target.read_response(chunk)
        record(self.tracker, Reading(id=found.id, model=found.model))
        return True

    @guarded("stream")
    def take(self, found: int | Reading) -> None:
        """A chunk is something else than one token: none or several, and it may tell of usage, an end, a failure."""
        tracker = self.tracker
        if isinstance(found, int):
            tracker.counts.add(found)
            return
        tracker.counts.add(found.tokens)
        if tracker.is_ended:
            return
        self._reasons += found.finish_reasons
        # Each choice has its own end mark: the span is told of all.
        record(tracker, replace(found, finish_reasons=self._reasons))
        if found.finish_reasons and len(self._reasons) >= self._choices and not tracker.is_ended:
            tracker.enter_stage(instrumenting.Stage.PROCESSING_RESPONSE)
        if found.stage is not None or found.layer is not None:
            self._layers = self._layers or Layers(tracker)
            self._layers.take(found)
        if found.step is not None:
            tracker.update(found.step)
        if found.is_last:
            self._complete()

    @guarded("stream")
    def exhausted(self) -> None:
        """The application has read the stream to its end."""
        self._complete()

    @guarded("stream")
    def raised(self, error: BaseException) -> None:
        """The application gets this exception from the stream."""
        if isinstance(error, GeneratorExit):
            if not self.is_generator:
                self._drop()
        elif self.has_end_mark and not isinstance(error, Exception):
            self._complete()
        elif not self.tracker.is_ended:
            self.tracker.end_with(error)

    # What the generator sees that is itself the answer.

    @guarded("stream")
    def left(self, during: type[BaseException] | None) -> None:
        """The application has closed it, while this kind of exception was being handled (or none)."""
        if not self._dropped:
            self._close(during)

    @guarded("stream")
    def dropped(self) -> None:
        """Nobody has it any more; it may be the garbage collector that calls, inside any lock."""
        if not self.tracker.is_ended:
            self._drop()

    # What the body sees.

    @guarded("stream")
    def received(self, part: bytes) -> None:
        """Bytes have arrived: the first chunk for an application that reads the body itself."""
        counts = self.tracker.counts
        if not counts.bytes and not self._followed and not self.held:
            self.tracker.first_chunk()
        counts.bytes += len(part)
        self._last = part

    @guarded("stream")
    def body_read(self) -> None:
        """The body has been read to its end."""
        self.is_over = True
        if not self._is_busy():
            self._read_last()
            self._complete()

    @guarded("stream")
    def body_raised(self, error: BaseException) -> None:
        """Reading the body failed, or was interrupted; leaving it early is seen at its closing."""
        if not self._is_busy() and not isinstance(error, GeneratorExit):
            self.raised(error)

    @guarded("stream")
    def body_closed(self, during: type[BaseException] | None) -> None:
        """The body has been closed, while this kind of exception was being handled (or none)."""
        self.is_over = True
        if self.tracker.is_ended or self._dropped or self._is_busy():
            return
        if during is GeneratorExit:
            self._drop()
        else:
            self._close(during)

    @guarded("stream")
    def body_dropped(self) -> None:
        """The body is being destroyed, possibly by the garbage collector, inside any lock."""
        self.dropped()

    def _close(self, during: type[BaseException] | None) -> None:
        if self.has_end_mark:
            self._complete()
        elif not self.tracker.is_ended:
            self.tracker.cancel(_why_closed(during))

    def _complete(self) -> None:
        if not self.tracker.is_ended:
            self.tracker.complete()

    def _read_last(self) -> None:
        """An answer that the application has read in one piece, as it mostly does, is read here too."""
        whole, self._last, body = self._last, b"", self.target.body
        answer = body.parse(whole) if body and whole and len(whole) == self.tracker.counts.bytes else None
        if answer is not None:
            read_answer(self.tracker, self.target, answer)

    def _drop(self) -> None:
        """Only queues the ending: it may be the garbage collector that calls."""
        if not self._dropped:
            self._dropped = True
            instrumenting.abandoned(self.tracker, "dropped", completed=self.has_end_mark)

    def _is_busy(self) -> bool:
        """True while somebody else will see the ending: the SDK's method, or our iterator."""
        if self.held:
            return True
        watching = self._watching()
        if isinstance(watching, GeneratorType):
            return watching.gi_running
        return isinstance(watching, AsyncGeneratorType) and watching.ag_running


def follow_in(holder: object, name: str, watch: Watch) -> None:
    """Put an iterator that counts in the place of the SDK's own, which is this attribute of `holder`."""
    watching = watch.follow(getattr(holder, name, None))
    if watching is None:
        instrumenting.logger.warning("%s has no iterator in %r: chunks are not counted", type(holder).__name__, name)
    else:
        setattr(holder, name, watching)


def _nobody() -> None:
    return None


def _why_closed(during: type[BaseException] | None) -> str:
    """A stream closed by an error of the application is closed early, not failed."""
    if during is None or issubclass(during, Exception):
        return "closed early"
    return instrumenting.outcome_of(during()).reason or "closed early"


# What follows is written twice, for the sake of the await: a function that both call would cost a
# fifth of what a chunk may cost. No lock, no clock, no telemetry in it: one count is stored.


def _iterate(iterator: Iterator[object], watch: Watch, read: ChunkReader) -> Generator[object, None, None]:
    counts, singles, is_awaited = watch.tracker.counts, 0, True
    try:
        for chunk in iterator:
            if is_awaited:
                is_awaited = watch.begin(chunk) is False
                if is_awaited:
                    yield chunk
                    continue
            try:
                found = read(chunk)
            except Exception:
                # One log line for a changed SDK, not one a token.
                read, found = no_tokens, 0
                instrumenting.report_failure("chunk reader")
            if found == 1:
                singles += 1
                counts.singles = singles
            else:
                watch.take(found)
            yield chunk
    except BaseException as error:
        watch.raised(error)
        raise
    watch.exhausted()


async def _iterate_async(
    iterator: AsyncIterator[object], watch: Watch, read: ChunkReader
) -> AsyncGenerator[object, None]:
    counts, singles, is_awaited = watch.tracker.counts, 0, True
    try:
        async for chunk in iterator:
            if is_awaited:
                is_awaited = watch.begin(chunk) is False
                if is_awaited:
                    yield chunk
                    continue
            try:
                found = read(chunk)
            except Exception:
                read, found = no_tokens, 0
                instrumenting.report_failure("chunk reader")
            if found == 1:
                singles += 1
                counts.singles = singles
            else:
                watch.take(found)
            yield chunk
    except BaseException as error:
        watch.raised(error)
        raise
    watch.exhausted()
