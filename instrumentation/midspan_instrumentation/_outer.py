"""Generators that an SDK puts around those of its requests: what the application closes is the outermost one.

Those inside are not closed with it, they are let go by it, and asynchronous ones are so again only after that. So which
generator is around which is read from the frames below which each is made, and whether one has been closed from whether
it still exists when the next one inside is let go. The application gets the SDK's own, and a chunk costs nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import NamedTuple, cast

from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation.provider import Outer

GENERATORS = GeneratorType, AsyncGeneratorType
MAX_FRAMES = 40
"""How far up a stream looks for the generators around it: those of SDKs are some ten frames above."""

AnyGenerator = Generator[object] | AsyncGenerator[object]


class Closing(NamedTuple):
    """The application has closed a generator, while this kind of exception was being handled (or none)."""

    during: type[BaseException] | None


class _Noted:
    """A generator of the SDK, for as long as something is inside of it."""

    __slots__ = ("_around", "_key", "_reference", "closing")

    def __init__(self, generator: AnyGenerator, key: int) -> None:
        self.closing: Closing | None = None
        self._around = around()
        self._key = key
        # Called by the collector too: it only takes away.
        self._reference = weakref.ref(generator, self._let_go)

    def exists(self) -> bool:
        """False once it is let go."""
        return self._reference() is not None

    def is_of(self, frame: FrameType) -> bool:
        """The frame of a generator that is over may have left its id to another one."""
        generator = self._reference()
        return generator is not None and _frame_of(generator) is frame

    @guarded("stream")
    def _let_go(self, _reference: object) -> None:
        self.closing = closing(self._around)
        if _noted.get(self._key) is self:
            _noted.pop(self._key, None)


Around = tuple[_Noted, ...]
_noted: dict[int, _Noted] = {}
"""By the id of its frame, for as long as it exists."""


def wrap_outer(outer: Outer) -> Wrapper:
    """The wrapper for an `Outer`."""
    return _return_noted_async if outer.is_async else _return_noted


def _return_noted(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    generator = wrapped(*args, **kwargs)
    _note(generator)
    return generator


def _return_noted_async(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    return _await_noted(cast(Awaitable[object], wrapped(*args, **kwargs)))


async def _await_noted(awaitable: Awaitable[object]) -> object:
    generator = await awaitable
    _note(generator)
    return generator


@guarded("stream")
def _note(generator: object) -> None:
    if isinstance(generator, GENERATORS):
        made = cast(AnyGenerator, generator)
        key = id(_frame_of(made))
        _noted[key] = _Noted(made, key)


def _frame_of(generator: AnyGenerator) -> FrameType | None:
    return cast("FrameType | None", getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None))


def around() -> Around:
    """The generators inside of which this is called, the innermost first."""
    return tuple(_found(inspect.currentframe())) if _noted else ()


def _found(frame: FrameType | None) -> Iterator[_Noted]:
    for _ in range(MAX_FRAMES):
        if frame is None:
            return
        noted = _noted.get(id(frame))
        if noted is not None and noted.is_of(frame):
            yield noted
        frame = frame.f_back


def closing(outer: Around) -> Closing | None:
    """How the application has closed the outermost of these, asked when what is inside is let go; None where it has let
    go of that itself, which then closes or lets go of the others."""
    told = next((each.closing for each in outer if each.closing is not None), None)
    if told is None and outer and outer[-1].exists() and not is_loop_ending():
        return Closing(during_closing())
    return told


def during_closing() -> type[BaseException] | None:
    """The kind of exception that was being handled when a generator was closed, seen from inside of that."""
    error = sys.exc_info()[1]
    while isinstance(error, GeneratorExit):
        error = error.__context__
    return None if error is None else type(error)


@guarded("stream")
def is_loop_ending() -> bool:
    """True while asyncio closes what nobody has read to its end; false, too, where the loop does not tell."""
    try:
        return getattr(asyncio.get_running_loop(), "_asyncgens_shutdown_called", False)
    except RuntimeError:
        return False
