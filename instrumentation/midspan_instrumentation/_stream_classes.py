"""The streams of an SDK: an iterator that counts is put in the place of each one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation._body import ObservedBody
from midspan_instrumentation._call import current_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._stream import Watch
from midspan_instrumentation.provider import StreamClass


def wrap_stream(kind: StreamClass) -> Wrapper:
    """The wrapper for the `__init__` of an SDK's class of streams, or for its `maker`.

    Every stream passes there, also one that `parse()` of a raw response makes later; its
    response's body, or else the context, tells which call it belongs to."""

    def init_stream(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        result = wrapped(*args, **kwargs)
        _replace(kind, instance)
        return result

    def make_iterator(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        iterator = wrapped(*args, **kwargs)
        return _followed(kind, instance, iterator) or iterator

    return init_stream if kind.maker is None else make_iterator


@guarded("stream")
def _replace(kind: StreamClass, stream: object) -> None:
    watching = _followed(kind, stream, getattr(stream, kind.iterator, None))
    if watching is not None:
        setattr(stream, kind.iterator, watching)


@guarded("stream")
def _followed(kind: StreamClass, stream: object, iterator: object) -> object | None:
    """The iterator that counts, in the place of the stream's own; None where there is nothing to be seen."""
    watch = _watch_of(getattr(stream, kind.response, None))
    if watch is None or watch.tracker.is_ended or not watch.follows_iterators:
        return None
    watching = watch.follow(iterator)
    if watching is None:
        instrumenting.logger.warning(
            "%s keeps no iterator in %r: its chunks are not counted", kind.qualname, kind.iterator
        )
    elif kind.asked is not None:
        _answer(getattr(stream, kind.response), kind.asked)
    return watching


def _answer(response: object, asked: str) -> None:
    """What the SDK asks the body for at each chunk stands on it: passing that on would cost more than all the rest."""
    body = getattr(response, "stream", None)
    if isinstance(body, ObservedBody):
        setattr(body, asked, getattr(body, asked, None))


def _watch_of(response: object) -> Watch | None:
    body = response if isinstance(response, ObservedBody) else _observed(getattr(response, "stream", None))
    if body is not None:
        return cast(Watch, body.midspan_watch)
    # A client of another kind than those that the transport knows: the iterator alone is watched.
    call = current_call.get()
    return None if call is None else call.watched()


def _observed(body: object) -> ObservedBody | None:
    """The body that the transport has put there, also inside of one that the SDK has put around it in its turn."""
    if isinstance(body, ObservedBody):
        return body
    return next((each for each in getattr(body, "__dict__", {}).values() if isinstance(each, ObservedBody)), None)
