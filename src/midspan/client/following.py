"""Server-sent events without blocking the event loop: each read is a thread's, and leaving waits for none of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from midspan.client.connection import Api, EventStream, ServerEvent

T = TypeVar("T")


class Following:
    """The events of a path: `async with` it, look at its HTTP `status`, and iterate it; none come unless that is 200.

    Raises OSError where nobody answers. Whoever leaves while a thread connects or reads goes at once; that thread is
    woken, and closes the connection.
    """

    def __init__(self, api: Api, path: str) -> None:
        self._api, self._path = api, path
        self.status = 0
        self._stream: EventStream | None = None
        self._events: Iterator[ServerEvent] = iter(())
        self._in_use = threading.Lock()
        self._is_left = False

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._used, self._open)
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while (event := await asyncio.to_thread(self._used, self._next)) is not None:
            yield event

    def _open(self) -> None:
        stream = self._stream = self._api.stream(self._path)
        self.status, self._events = stream.status, iter(stream)

    def _next(self) -> ServerEvent | None:
        return next(self._events, None)

    def _used(self, use: Callable[[], T]) -> T | None:
        """In a thread: what `use` gives, or None where everybody has left."""
        try:
            with self._in_use:
                return None if self._is_left else use()
        finally:
            if self._is_left:
                self._close()

    def _leave(self) -> None:
        self._is_left = True
        stream = self._stream
        if stream is not None:
            stream.leave()
        self._close()

    def _close(self) -> None:
        """By the last one: a thread that is at it asks again once it is done."""
        if self._in_use.acquire(blocking=False):
            try:
                stream, self._stream = self._stream, None
                if stream is not None:
                    stream.close()
            finally:
                self._in_use.release()
