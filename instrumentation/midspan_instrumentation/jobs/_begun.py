"""Calls that begin a job and are answered with its stream: their operation goes on as the job when that is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._stream import Watch
from midspan_instrumentation.jobs._following import left
from midspan_instrumentation.jobs._table import JobTable, JobTarget


class BegunWatch(Watch):
    """The watch of such a stream. Until its first event has named the job, it is one like any other."""

    __slots__ = ("_has_left", "_job_id", "_table", "_unseen")

    def __init__(self, call: Call, table: JobTable) -> None:
        super().__init__(call.tracker, call.target, call.choices)
        self._table = table
        self._job_id: str | None = None
        self._unseen = 0.0
        self._has_left = False

    @guarded("stream")
    def begin(self, chunk: object) -> bool | None:
        """The first event is there."""
        is_first = super().begin(chunk)
        self._become_job(chunk)
        return is_first

    @guarded("stream")
    def raised(self, error: BaseException) -> None:
        """The application gets this exception from the stream."""
        if not self._is_left(isinstance(error, GeneratorExit)):
            super().raised(error)

    @guarded("job")
    def _become_job(self, event: object) -> None:
        found, state = self.target.read_response(event).goes_on_as, self.tracker.state
        limit = state.stall_after
        if found is not None and instrumenting.became_job(*found, state):
            self._job_id, self._unseen = found[1], state.stall_after
            # Somebody reads it: silence means something.
            state.stall_after = limit

    def _complete(self) -> None:
        if not self._is_left():
            super()._complete()

    def _close(self, during: type[BaseException] | None) -> None:
        if not self._is_left():
            super()._close(during)

    def _drop(self) -> None:
        if not self._is_left(is_dropped=True):
            super()._drop()

    def _is_left(self, is_dropped: bool = False) -> bool:
        """True for a job that goes on: its last event has not come."""
        if self._job_id is None or self.has_end_mark:
            return False
        if self._has_left:
            return True
        self._has_left = True
        # Of a stream that was dropped no more than this: it may be the garbage collector that calls.
        self.tracker.state.stall_after = self._unseen
        stream = self._table.stream
        if not is_dropped and stream is not None:
            left(self._table, self._job_id, stream.working.state, self.tracker)
        return True


def wrap_begun(table: JobTable, target: JobTarget) -> Wrapper:
    """The wrapper for a callable that begins a job; it goes below the one that makes an operation of each call."""

    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        if _how(target, instance, args, kwargs) is None:
            return wrapped(*args, **kwargs)
        if target.is_async:
            return _await_begun(table, cast("Awaitable[object]", wrapped(*args, **kwargs)))
        watch_begun(table)
        return wrapped(*args, **kwargs)

    return call_target


@guarded("job")
def _how(target: JobTarget, instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str | None:
    return None if target.read_how is None else target.read_how(instance, *args, **kwargs)


async def _await_begun(table: JobTable, awaitable: Awaitable[object]) -> object:
    watch_begun(table)
    return await awaitable


@guarded("job")
def watch_begun(table: JobTable) -> None:
    """The call that is being made in this context begins a job."""
    call = current_call.get()
    if call is not None and call.watch is None and not call.covers_others:
        call.watch = BegunWatch(call, table)
