"""Answers that are plain generators. Many SDKs send such a request only when its first item is asked for."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from contextvars import ContextVar, Token
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Protocol, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._stream import Watch

GENERATORS = GeneratorType, AsyncGeneratorType

_current_call = cast("ContextVar[object]", instrumenting.current_call)


class _Divided(Protocol):
    """What is asked of a call here."""

    parts: int


def sending(call: _Divided, watch: Watch, generator: object) -> object:
    """What the application gets for the SDK's `generator`: its items, which `watch` follows.

    The call is current while the first item is made, so that the transport finds it; while each is made, where the SDK
    makes several requests of it, one after the other.
    """
    watch.is_generator = True
    if call.parts > 1 and isinstance(generator, GeneratorType):
        generator = _within(call, cast("Generator[object]", generator))
    watching: Any = watch.follow(generator)
    if isinstance(generator, AsyncGeneratorType):
        # Only where there is a loop: the one in which it is begun closes it when it is dropped.
        begun = sys.get_asyncgen_hooks().firstiter is not None
        own = _sending_async(call, watch, watching, cast("AsyncGenerator[object]", generator), begun)
        _tell_dropped(own, watch)
        if begun:
            with suppress(StopIteration):
                own.__anext__().send(None)
        return own
    answer = _sending(call, watch, watching, cast("Generator[object]", generator))
    _tell_dropped(answer, watch)
    next(answer)
    return answer


def _within(call: _Divided, generator: Generator[object]) -> Generator[object]:
    try:
        while True:
            token = _current_call.set(call)
            try:
                item = next(generator)
            except StopIteration:
                return
            finally:
                reset(token)
            yield item
    finally:
        generator.close()


def _tell_dropped(answer: object, watch: Watch) -> None:
    """Before the generator itself sees that it is closed, which is how being dropped looks inside of it."""
    weakref.finalize(answer, watch.dropped).atexit = False


# The first item of both is not for the application: a generator that was never begun does not see that it is closed.


def _sending(
    call: object, watch: Watch, watching: Generator[object], generator: Generator[object]
) -> Generator[object]:
    try:
        with suppress(GeneratorExit):
            yield None
            token = _current_call.set(call)
            try:
                first = next(watching)
            except StopIteration:
                return
            finally:
                reset(token)
            yield first
            yield from watching
            return
        # Here is seen again what the application was handling when it closed the generator.
        watch.left(sys.exc_info()[0])
        raise GeneratorExit
    finally:
        watching.close()
        generator.close()


async def _sending_async(
    call: object, watch: Watch, watching: AsyncGenerator[object], generator: AsyncGenerator[object], begun: bool
) -> AsyncGenerator[object]:
    try:
        with suppress(GeneratorExit):
            if begun:
                yield None
            token = _current_call.set(call)
            try:
                first = await anext(watching)
            except StopAsyncIteration:
                return
            finally:
                reset(token)
            yield first
            async for item in watching:
                yield item
            return
        if _is_loop_ending():
            watch.dropped()
        watch.left(sys.exc_info()[0])
        raise GeneratorExit
    finally:
        # Being dropped closes none of these at once, and neither does the end of another one.
        await watching.aclose()
        await generator.aclose()


@guarded("stream")
def _is_loop_ending() -> bool:
    """True while asyncio closes what nobody has read to its end; false, too, where the loop does not tell."""
    try:
        return getattr(asyncio.get_running_loop(), "_asyncgens_shutdown_called", False)
    except RuntimeError:
        return False


def reset(*tokens: Token[Any]) -> None:
    """What was current before is so again. `tokens` of one context, the latest first."""
    try:
        for token in tokens:
            token.var.reset(token)
    except ValueError:
        # A coroutine or generator that is closed from another context than its own: that one is gone anyway.
        return
