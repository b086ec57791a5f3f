"""Answers that an SDK hands over with a body which the application reads by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from midspan_instrumentation._guard import guarded
from midspan_instrumentation._stream import Watch


class _Body:
    """What a watched body is besides its own class: the exceptions that the application sees are raised there."""

    midspan_watch: Watch


class _Read(_Body):
    def read(self, *args: Any) -> Any:
        return _seen(self.midspan_watch, cast("Any", super()).read, args)


class _ReadInto(_Body):
    def readinto(self, *args: Any) -> Any:
        return _seen(self.midspan_watch, cast("Any", super()).readinto, args)


def _seen(watch: Watch, read: Callable[..., object], args: tuple[object, ...]) -> object:
    # What is below sees the reading too, and not how this one ends.
    watch.held = True
    try:
        part = read(*args)
    except BaseException as error:
        watch.held = False
        watch.raised(error)
        raise
    watch.held = False
    if watch.is_over:
        watch.body_read()
    return part


_READ = {"read": _Read, "readinto": _ReadInto}
_classes: dict[type, type] = {}


@guarded("body")
def watch_body(body: Any, watch: Watch) -> None:
    """Tell `watch` how the application's reading of `body` ends, which stays the object that it is."""
    body.midspan_watch = watch
    body.__class__ = _watched_class(cast("type[object]", type(body)))


def _watched_class(base: type) -> type:
    kind = _classes.get(base)
    if kind is None:
        names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        above = [mixin for name, mixin in _READ.items() if hasattr(base, name)]
        kind = _classes[base] = type(base.__name__, (*above, base), names)
    return kind
