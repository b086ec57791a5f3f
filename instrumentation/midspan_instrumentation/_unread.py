"""Answers that an SDK hands over with a body which the application reads by itself."""

from __future__ import annotations

from types import TracebackType
from typing import Any, cast

from midspan_instrumentation._guard import guarded
from midspan_instrumentation._stream import Watch


class _Reading:
    """One reading of a body, to its end or to an exception.

    What is below sees it too, and not how it ends for the application.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._watch.held = True

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        watch = self._watch
        watch.held = False
        if error is not None:
            watch.raised(error)
        elif watch.is_over:
            watch.body_read()


class _Body:
    """What a watched body is besides its own class: the exceptions that the application sees are raised there."""

    midspan_watch: Watch


class _Read(_Body):
    def read(self, *args: Any, **kwargs: Any) -> Any:
        with _Reading(self.midspan_watch):
            return cast("Any", super()).read(*args, **kwargs)


class _ReadInto(_Body):
    def readinto(self, *args: Any, **kwargs: Any) -> Any:
        with _Reading(self.midspan_watch):
            return cast("Any", super()).readinto(*args, **kwargs)


class _AwaitRead(_Body):
    async def read(self, *args: Any, **kwargs: Any) -> Any:
        with _Reading(self.midspan_watch):
            return await cast("Any", super()).read(*args, **kwargs)


class _AwaitReadInto(_Body):
    async def readinto(self, *args: Any, **kwargs: Any) -> Any:
        with _Reading(self.midspan_watch):
            return await cast("Any", super()).readinto(*args, **kwargs)


_READ: dict[bool, dict[str, type[_Body]]] = {
    False: {"read": _Read, "readinto": _ReadInto},
    True: {"read": _AwaitRead, "readinto": _AwaitReadInto},
}
_classes: dict[type, type] = {}
_CLASS: Any = vars(object)["__class__"]
"""Of a proxy, as some bodies are, assigning to it would be assigning to what is below."""


@guarded("body")
def watch_body(body: Any, watch: Watch) -> None:
    """Tell `watch` how the application's reading of `body` ends, which stays the object that it is."""
    body.midspan_watch = watch
    _CLASS.__set__(body, _watched_class(cast("type[object]", type(body)), watch.target.is_async))


def _watched_class(base: type, is_async: bool) -> type:
    kind = _classes.get(base)
    if kind is None:
        names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        above = [mixin for name, mixin in _READ[is_async].items() if hasattr(base, name)]
        kind = _classes[base] = type(base.__name__, (*above, base), names)
    return kind
