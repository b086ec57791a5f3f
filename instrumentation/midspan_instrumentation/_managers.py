"""Calls that return a context manager, which sends the request when it is entered: the operation begins there.

A manager is of a class of the SDK's own, whose entry is wrapped, or one that the standard library makes of a generator.
That class belongs to everybody: only the manager itself, which stays the object that it is, gets a subclass of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from msgspec import Struct

from midspan_instrumentation._call import wrap_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation.provider import Provider, Target


class _Asked(Struct, frozen=True):
    """A call that was made, and the wrapper that sees its request sent."""

    wrapper: Wrapper
    instance: object
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


_asked: WeakKeyDictionary[object, _Asked] = WeakKeyDictionary()
"""By manager, for as long as the application keeps that."""


def wrap_managed_call(provider: Provider, target: Target) -> Wrapper:
    """The wrapper for a target that returns a manager."""
    wrapper = wrap_call(provider, target)

    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        manager = wrapped(*args, **kwargs)
        _keep(manager, _Asked(wrapper, instance, args, kwargs))
        return manager

    return call_target


@guarded("manager")
def _keep(manager: object, asked: _Asked) -> None:
    _asked[manager] = asked
    kind = _ENTERED.get(type(manager))
    if kind is not None:
        manager.__class__ = kind


@guarded("manager")
def _asked_by(manager: object) -> _Asked | None:
    return _asked.get(manager)


def enter_manager(
    wrapped: Callable[..., object],
    instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    """The wrapper for the `__enter__` or `__aenter__` of a `ManagerClass`."""
    asked = _asked_by(instance)
    if asked is None:
        return wrapped(*args, **kwargs)
    return asked.wrapper(lambda *_, **__: wrapped(*args, **kwargs), asked.instance, asked.args, asked.kwargs)


class _Entered:
    def __enter__(self) -> object:
        return enter_manager(cast("Any", super()).__enter__, self, (), {})


class _EnteredAsync:
    def __aenter__(self) -> object:
        return enter_manager(cast("Any", super()).__aenter__, self, (), {})


def _entered_class(base: type, above: type) -> type:
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (above, base), names)


_ENTERED: dict[type, type] = {
    base: _entered_class(base, above)
    for name, above in (("_GeneratorContextManager", _Entered), ("_AsyncGeneratorContextManager", _EnteredAsync))
    if isinstance(base := getattr(contextlib, name, None), type)
}
"""The standard library's classes of managers, by their private names → those with an entry that is seen."""
