"""A call whose SDK makes several requests of it, all at once: one operation, and each request a step of its progress.

The SDK makes them in tasks, which have the caller's context, or in threads, which are given it (`_pools.py`). The
transport sees the request of a call that has one part alone; of several it would take each for an attempt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import Token
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._generators import reset
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation.provider import Part


def wrap_part(part: Part) -> Wrapper:
    """The wrapper for a `Part`."""
    return _async_part if part.is_async else _sync_part


def _sync_part(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    call = _divided()
    if call is None:
        return wrapped(*args, **kwargs)
    with _Step(call):
        return wrapped(*args, **kwargs)


def _async_part(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    awaitable, call = cast(Awaitable[object], wrapped(*args, **kwargs)), _divided()
    return awaitable if call is None else _await_part(call, awaitable)


async def _await_part(call: Call, awaitable: Awaitable[object]) -> object:
    with _Step(call):
        return await awaitable


@guarded("parts")
def _divided() -> Call | None:
    call = current_call.get()
    return call if call is not None and call.parts > 1 else None


class _Step:
    """One of several parts: the call's span is current in it, and the call itself is not."""

    __slots__ = ("call", "scope", "token")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.scope: AbstractContextManager[object] | None = None
        self.token: Token[Call | None] | None = None

    @guarded("parts")
    def __enter__(self) -> None:
        self.token = current_call.set(None)
        scope = instrumenting.attached(self.call.tracker)
        scope.__enter__()
        self.scope = scope

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.scope is not None:
                self.scope.__exit__(None, None, None)
            if kind is None and not self.call.tracker.is_ended:
                self.call.tracker.advance()
        except Exception:
            instrumenting.report_failure("parts")
        if self.token is not None:
            reset(self.token)
