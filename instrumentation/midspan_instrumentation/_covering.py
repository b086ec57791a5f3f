"""Watching the stream of an SDK that is built on others, where the application reads it.

Below may be another SDK's stream, those of several servers one after another, or a list: their bodies and iterators do
not tell how this one ends. So the stream, which stays the object that it is, gets a subclass of its class.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, Protocol, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._content import chunk_reader
from midspan_instrumentation._generators import reset
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._stream import Watch
from midspan_instrumentation.provider import Target, no_tokens


class CoveringWatch(Watch):
    """The watch of such a stream; of the bodies below it only counts the bytes."""

    __slots__ = ("_read",)

    follows_iterators = False

    def __init__(self, tracker: instrumenting.CallTracker, target: Target, choices: int) -> None:
        super().__init__(tracker, target, choices)
        self._read = chunk_reader(tracker, target)

    # What a body sees.

    def received(self, part: bytes) -> None:
        """Bytes have arrived, in this body or an earlier one."""
        self.tracker.counts.bytes += len(part)

    def body_read(self) -> None:
        """Another body may follow."""

    def body_raised(self, error: BaseException) -> None:
        """Another server may be tried."""

    def body_closed(self, during: type[BaseException] | None) -> None:
        """Another server may be tried."""

    def body_dropped(self) -> None:
        """Another server may be tried."""

    # What the stream sees.

    @guarded("stream")
    def item(self, item: object) -> None:
        """The application gets one more."""
        if not self.tracker.counts.chunks and self.begin(item) is False:
            return
        try:
            found = self._read(item)
        except Exception:
            # One log line for a changed SDK, not one a token.
            self._read, found = no_tokens, 0
            instrumenting.report_failure("chunk reader")
        self.take(found)

    def closed(self, during: type[BaseException] | None) -> None:
        """The application has closed it."""
        super().body_closed(during)


class CoveringCall(Call):
    """A call of such an SDK. It may ask servers of any host."""

    __slots__ = ()

    covers_others = True

    def __init__(self, tracker: instrumenting.CallTracker, target: Target, choices: int, _host: str | None) -> None:
        super().__init__(tracker, target, choices, None)

    def watched(self) -> CoveringWatch:
        """The watch of the call's stream, and of the bodies below it."""
        if self.watch is None:
            self.watch = CoveringWatch(self.tracker, self.target, self.choices)
        return cast(CoveringWatch, self.watch)

    def goes_on_in(self, result: object) -> bool:
        """True for a stream."""
        return watch_stream(self, result) is True


class _Watched(Protocol):
    """What a watched stream has besides. No base of its class: the annotations of one would be seen on it."""

    midspan_call: CoveringCall
    midspan_watch: CoveringWatch


# While an item is made the call is current: a server that is tried only now is tried for this call.


class _Next:
    def __next__(self) -> object:
        stream, read = cast(_Watched, self), cast("Any", super()).__next__
        watch = stream.midspan_watch
        if watch.tracker.is_ended:
            return read()
        token = current_call.set(stream.midspan_call)
        try:
            item = read()
        except StopIteration:
            watch.exhausted()
            raise
        except BaseException as error:
            watch.raised(error)
            raise
        finally:
            reset(token)
        watch.item(item)
        return item


class _Anext:
    async def __anext__(self) -> object:
        stream, read = cast(_Watched, self), cast("Any", super()).__anext__
        watch = stream.midspan_watch
        if watch.tracker.is_ended:
            return await read()
        token = current_call.set(stream.midspan_call)
        try:
            item = await read()
        except StopAsyncIteration:
            watch.exhausted()
            raise
        except BaseException as error:
            watch.raised(error)
            raise
        finally:
            reset(token)
        watch.item(item)
        return item


class _Close:
    def close(self) -> object:
        during = sys.exc_info()[0]
        try:
            return cast("Any", super()).close()
        finally:
            cast(_Watched, self).midspan_watch.closed(during)


class _Aclose:
    async def aclose(self) -> object:
        during = sys.exc_info()[0]
        try:
            return await cast("Any", super()).aclose()
        finally:
            cast(_Watched, self).midspan_watch.closed(during)


_READ = {"__next__": _Next, "__anext__": _Anext}
_CLOSED = {"close": _Close, "aclose": _Aclose}


@guarded("stream")
def watch_stream(call: CoveringCall, answer: object) -> bool:
    """True when the answer is a stream, and is watched from now on."""
    kind = type(answer)
    if not any(hasattr(kind, name) for name in _READ):
        return False
    watch = call.watched()
    stream = cast(_Watched, answer)
    stream.midspan_call, stream.midspan_watch = call, watch
    watch.held = False
    answer.__class__ = _watched_class(kind)
    weakref.finalize(answer, watch.dropped).atexit = False
    return True


_classes: dict[type, type] = {}
MAX_CLASSES = 100


def _watched_class(base: type) -> type:
    """The subclass; kept, but for one of a class that the SDK makes anew for each stream."""
    kind = _classes.get(base)
    if kind is None:
        above = [mixin for name, mixin in {**_READ, **_CLOSED}.items() if hasattr(base, name)]
        names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        kind = type(base.__name__, (*above, base), names)
        if "<locals>" not in base.__qualname__ and len(_classes) < MAX_CLASSES:
            _classes[base] = kind
    return kind
