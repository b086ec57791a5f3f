"""Observing the HTTP body of a response: read, closed, failed and dropped, whoever does it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Protocol, TypeVar, cast

Mixin = TypeVar("Mixin")


class BodyWatch(Protocol):
    """Who is told. None of these raises."""

    def received(self, part: bytes) -> None:
        """Bytes have arrived."""

    def body_read(self) -> None:
        """The body has been read to its end."""

    def body_raised(self, error: BaseException) -> None:
        """Reading the body failed, or was interrupted."""

    def body_closed(self, during: type[BaseException] | None) -> None:
        """The body has been closed, while this kind of exception was being handled (or none)."""

    def body_dropped(self) -> None:
        """The body is being destroyed, possibly by the garbage collector, inside any lock."""


class _SyncBody(Iterable[bytes], Protocol):
    def close(self) -> None: ...


class _AsyncBody(AsyncIterable[bytes], Protocol):
    async def aclose(self) -> None: ...


class ObservedBody:
    """What an observed body is besides its body's own class."""

    midspan_watch: BodyWatch

    def __del__(self) -> None:
        self.midspan_watch.body_dropped()


class _StandIn(ObservedBody):
    """An observed body in the place of another one, `midspan_body`. Everything but the observing is that one's own."""

    midspan_body: object

    def __getattr__(self, name: str) -> object:
        # The body's class was never initialised here: its attributes are those of the real body.
        if name.startswith("midspan_"):
            raise AttributeError(name)
        return getattr(self.midspan_body, name)


class _ObservedSyncBody(_StandIn):
    def __iter__(self) -> Iterator[bytes]:
        watch = self.midspan_watch
        try:
            for part in cast(_SyncBody, self.midspan_body):
                watch.received(part)
                yield part
        except BaseException as error:
            watch.body_raised(error)
            raise
        watch.body_read()

    def close(self) -> None:
        during = sys.exc_info()[0]
        try:
            cast(_SyncBody, self.midspan_body).close()
        finally:
            self.midspan_watch.body_closed(during)


class _ObservedAsyncBody(_StandIn):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        watch = self.midspan_watch
        parts = aiter(cast(_AsyncBody, self.midspan_body))
        try:
            async for part in parts:
                watch.received(part)
                yield part
        except BaseException as error:
            watch.body_raised(error)
            raise
        finally:
            # As the HTTP client does with the body: an asynchronous generator is not closed by
            # being dropped.
            if isinstance(parts, AsyncGenerator):
                await cast(AsyncGenerator[bytes], parts).aclose()
        watch.body_read()

    async def aclose(self) -> None:
        during = sys.exc_info()[0]
        try:
            await cast(_AsyncBody, self.midspan_body).aclose()
        finally:
            self.midspan_watch.body_closed(during)


def observe(body: object, watch: BodyWatch, is_async: bool) -> object:
    """The body to put in the place of `body`: an instance of a subclass of its class, which tells
    `watch` what becomes of it."""
    mixin: type[_StandIn] = _ObservedAsyncBody if is_async else _ObservedSyncBody
    kind = observed_class(type(body), mixin)
    observed = kind.__new__(kind)
    observed.midspan_body = body
    observed.midspan_watch = watch
    return observed


_classes: dict[tuple[type, type], type] = {}


def observed_class(base: type, mixin: type[Mixin]) -> type[Mixin]:
    """The subclass of `base` that observes by `mixin`. One is made for each class of bodies, not for each body."""
    kind = _classes.get((base, mixin))
    if kind is None:
        kind = _classes[base, mixin] = type(f"Observed{base.__name__}", (mixin, base), {})
    return cast("type[Mixin]", kind)
