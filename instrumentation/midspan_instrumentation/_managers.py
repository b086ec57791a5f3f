"""Calls that return a context manager, which sends the request when it is entered: the operation begins there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from midspan_instrumentation._call import wrap_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation.provider import Provider, Target


class _Asked(NamedTuple):
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
