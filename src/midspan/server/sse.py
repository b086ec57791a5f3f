"""Server-sent events: frames, and the response that carries them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from itertools import chain

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from midspan.core.operation import Operation
from midspan.server.disconnect import disconnect
from midspan.server.reader import Reader

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 10.0
MAX_AGE_SECONDS = 3600.0
MAX_SEND_BYTES = 64 * 1024
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
}

_LINE_END = re.compile(r"\r\n|\r|\n")
_BAD_FIELD = re.compile(r"[\r\n\0]")

Render = Callable[[Operation], Iterable[bytes]]
"""An operation → the frames that show it; pure, and not slow: it runs in the event loop."""


def frame(data: bytes | str, *, event: str | None = None, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: A002 - the field's name
    """One event. Data of several lines becomes several `data:` lines; `retry` is in milliseconds.

    Raises ValueError for an event name or id with a line end or NUL in it.
    """
    lines = [f"retry: {retry}"] if retry is not None else []
    lines += [f"{name}: {_checked(value)}" for name, value in (("id", id), ("event", event)) if value is not None]
    text = data if isinstance(data, str) else data.decode("utf-8")
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _checked(value: str) -> str:
    if _BAD_FIELD.search(value):
        raise ValueError(f"{value!r} cannot be an event's name or id: it has a line end or a NUL")
    return value


def comment(text: str) -> bytes:
    """A comment, which readers skip: what keeps a silent connection open. Raises ValueError for several lines."""
    return f": {_checked(text)}\n\n".encode()


def bye(reason: str) -> bytes:
    """The last event of a stream that could go on: come back, but not all at once."""
    return frame(f'{{"reason":"{reason}"}}', event="bye", retry=random.randint(1000, 5000))


OPENING = b"retry: 3000\n: open\n\n"
PING = comment("ping")
OVERFLOW = frame('{"reason":"slow-reader"}', event="overflow")


class EventStream(Response):
    """Sends `opening` and `first` at once, then what `render` makes of each change that `reader` brings.

    Ends after the ending of the reader's operation (of a reader of many: never by itself), at once where it `is_over`;
    when the client has gone; with `overflow` when it was too slow; with `farewell(reason)` when the server stops
    (`shutdown`) and after about an hour (`age`). A client that takes nothing for 10 seconds is dropped. `heartbeat`
    (bytes, or what makes them) is sent after each 15 silent seconds. Closes the reader. HEAD gets the headers only.
    """

    def __init__(
        self,
        reader: Reader,
        render: Render,
        *,
        first: Iterable[bytes] = (),
        is_over: bool = False,
        opening: bytes = OPENING,
        heartbeat: bytes | Callable[[], bytes] = PING,
        overflow: bytes = OVERFLOW,
        farewell: Callable[[str], bytes] = bye,
    ) -> None:
        super().__init__(headers=HEADERS)
        # A stream has no length that could be told.
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        self.reader = reader
        self._show = render
        self._first = chain((opening,), first)
        self._is_over = is_over
        self._heartbeat = (lambda: heartbeat) if isinstance(heartbeat, bytes) else heartbeat
        self._overflow = overflow
        self._farewell = farewell
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI response."""
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async with aclosing(self._pieces()) as pieces:
                    async for piece in pieces:
                        if piece:
                            await _send(send, piece)
            await _send(send, b"", more=False)
        except OSError:  # it took too long, or the server says so: nobody is there
            self._gone = True
        finally:
            self.reader.close()
            watching.cancel()

    async def _watch(self, receive: Receive) -> None:
        await disconnect(receive)
        self._gone = True
        self.reader.shut()

    async def _pieces(self) -> AsyncGenerator[bytes]:
        """The bytes to send, in pieces of about 64 KiB at most."""
        loop = asyncio.get_running_loop()
        for piece in joined(self._first):
            yield piece
        ends_at = loop.time() + MAX_AGE_SECONDS * random.uniform(0.9, 1.1)
        while not self._is_over:
            changed = await self.reader.next(min(HEARTBEAT_SECONDS, ends_at - loop.time()))
            if self._gone:
                return
            for piece in joined(self._frames(changed)):
                yield piece
            last = None if self._is_over else self._last(loop.time() >= ends_at)
            if last is not None:
                yield last
                return
            if not changed and not self._is_over:
                yield self._heartbeat()

    def _frames(self, changed: Iterable[Operation]) -> Iterator[bytes]:
        for operation in changed:
            yield from self._show(operation)
            if operation.is_terminal and self.reader.operation_id is not None:
                self._is_over = True
                return

    def _last(self, is_old: bool) -> bytes | None:
        """What is said before a stream ends that could go on; None while it goes on."""
        if self.reader.overflowed:
            return self._overflow
        if self.reader.closed:
            return self._farewell("shutdown")
        return self._farewell("age") if is_old else None


def joined(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The frames, put together to pieces of 64 KiB, or little more."""
    piece: list[bytes] = []
    size = 0
    for each in frames:
        piece.append(each)
        size += len(each)
        if size >= MAX_SEND_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    if size:
        yield b"".join(piece)


async def _send(send: Send, body: bytes, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})
