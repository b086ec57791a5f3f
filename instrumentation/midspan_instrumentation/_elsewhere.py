"""What an SDK runs for a call in an event loop of another thread, without the caller's context, is of that call too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._generators import reset


def run_elsewhere(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    """The wrapper for a `Runner`."""
    call = current_call.get()
    if call is None or not args:
        return wrapped(*args, **kwargs)
    return wrapped(_within(call, cast(Callable[..., Awaitable[object]], args[0])), *args[1:], **kwargs)


def _within(call: Call, function: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    async def run(*args: object, **kwargs: object) -> object:
        token = current_call.set(call)
        try:
            return await function(*args, **kwargs)
        finally:
            reset(token)

    return run
