"""The pool of threads in which an SDK makes the parts of a call: the threads have not the caller's context.

The pool of the client that is called stays the object that it is, and gets a subclass of its class: other pools of the
application are none of our business.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._generators import reset
from midspan_instrumentation._guard import guarded

_current_call = cast("ContextVar[_Divided | None]", instrumenting.current_call)


class _Divided(Protocol):
    """What is asked of a call here."""

    parts: int


class _Carrying:
    """What a divided call gives to a thread is a part of that call there."""

    def submit(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        give, call = cast("Any", super()).submit, _current_call.get()
        if call is None or not call.parts:
            return give(function, *args, **kwargs)
        return give(_within, call, function, *args, **kwargs)


def _within(call: _Divided, function: Callable[..., object], *args: object, **kwargs: object) -> object:
    token = _current_call.set(call)
    try:
        return function(*args, **kwargs)
    finally:
        reset(token)


_classes: dict[type, type] = {}


@guarded("parts")
def watch_pool(pool: Any) -> None:
    """What calls give to this pool from now on, they give to themselves in a thread."""
    kind = cast("type[object]", type(pool))
    if not issubclass(kind, _Carrying) and hasattr(kind, "submit"):
        pool.__class__ = _classes.get(kind) or _classes.setdefault(kind, _carrying_class(kind))


def _carrying_class(base: type) -> type:
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (_Carrying, base), names)
