"""Answers that are plain generators. Many SDKs send such a request only when its first item is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar, Token
from types import AsyncGeneratorType, GeneratorType
from typing import Any, cast

from midspan.tracking import instrumenting

GENERATORS = GeneratorType, AsyncGeneratorType

_current_call = cast("ContextVar[object]", instrumenting.current_call)


def sending(call: object, watching: object, generator: object) -> object:
    """What the application gets for the SDK's `generator`: the items of `watching`, which follows it.

    The call is current while the first item is made, so that the transport finds it.
    """
    if isinstance(generator, AsyncGeneratorType):
        answer = cast("AsyncGenerator[object]", generator)
        return _sending_async(call, cast("AsyncGenerator[object]", watching), answer)
    return _sending(call, cast("Generator[object]", watching), cast("Generator[object]", generator))


def _sending(call: object, watching: Generator[object], generator: Generator[object]) -> Generator[object]:
    try:
        token = _current_call.set(call)
        try:
            first = next(watching)
        except StopIteration:
            return
        finally:
            reset(token)
        yield first
        yield from watching
    finally:
        watching.close()
        generator.close()


async def _sending_async(
    call: object, watching: AsyncGenerator[object], generator: AsyncGenerator[object]
) -> AsyncGenerator[object]:
    try:
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
    finally:
        # Being dropped closes none of these at once, and neither does the end of another one.
        await watching.aclose()
        await generator.aclose()


def reset(token: Token[Any]) -> None:
    """The call that was current before is so again."""
    try:
        _current_call.reset(token)
    except ValueError:
        # A coroutine or generator that is closed from another context than its own: that one is gone anyway.
        return
