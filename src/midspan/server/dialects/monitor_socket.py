"""One WebSocket of seed S3's monitor: what runs, then every change, in JSON text frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from midspan.core.operation import Operation
from midspan.core.vocabulary import Row
from midspan.core.wire import encode
from midspan.server.auth import access_of
from midspan.server.dialects.view import ACTIVE, News, View
from midspan.server.hub import Hub
from midspan.server.problem import Problem
from midspan.server.reader import Reader
from midspan.server.sse import MAX_AGE_SECONDS, SEND_SECONDS

GOING_AWAY = 1001
OVERLOADED = 1013
MAX_BATCH = 100
"""Sessions in one frame."""
_GONE = (WebSocketDisconnect, TimeoutError, OSError, KeyError)
"""KeyError: a binary frame, which nobody sends who speaks this vocabulary."""

Frame = Callable[[list[Operation]], Row]


class _Said(msgspec.Struct):
    type: str = ""


class MonitorSocket:
    """`first` makes the frame that a connection begins with, `update` the one of a batch of changes."""

    def __init__(self, view: View, hub: Hub, first: Frame, update: Frame) -> None:
        self.view = view
        self.hub = hub
        self.first = first
        self.update = update

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from its handshake to its end."""
        access = access_of(socket.scope)
        await socket.accept(next(iter(socket.scope.get("subprotocols", ())), None))
        try:
            reader = self.hub.open(access.may_see, principal=access.principal)
        except Problem as problem:
            await socket.close(OVERLOADED, problem.detail)
            return
        async with reader:
            await _Connection(self, socket, reader).run()


class _Connection:
    """Two tasks: one tells changes, one listens, so that we hear when the client leaves."""

    def __init__(self, monitor: MonitorSocket, socket: WebSocket, reader: Reader) -> None:
        self._monitor = monitor
        self._socket = socket
        self._reader = reader
        self._sending = asyncio.Lock()
        self._news = News()

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen())
        try:
            await self._tell()
        except _GONE:
            pass  # or it takes nothing: there is nobody to tell
        finally:
            listening.cancel()

    async def _tell(self) -> None:
        reader, view = self._reader, self._monitor.view
        ends_at = asyncio.get_running_loop().time() + MAX_AGE_SECONDS
        running = await run_in_threadpool(lambda: list(view.all(self._socket, ACTIVE)))
        await self._send(self._monitor.first([each for each in running if self._news.is_new(each)]))
        while not (reader.closed or reader.overflowed):
            left = ends_at - asyncio.get_running_loop().time()
            changed = [each for each in await reader.next(left) if self._news.is_new(each)]
            for begin in range(0, len(changed), MAX_BATCH):
                await self._send(self._monitor.update(changed[begin : begin + MAX_BATCH]))
            if left <= 0:
                break
        if self._socket.client_state is WebSocketState.CONNECTED:
            await self._socket.close(OVERLOADED if reader.overflowed else GOING_AWAY)

    async def _listen(self) -> None:
        """A client may ask whether we are there; whatever else it says is none of this vocabulary."""
        try:
            while True:
                if _is_ping(await self._socket.receive_text()):
                    await self._send({"type": "pong"})
        except _GONE:
            self._reader.shut()

    async def _send(self, row: Row) -> None:
        async with self._sending, asyncio.timeout(SEND_SECONDS):
            if self._socket.application_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(1006)  # we have closed it, while the client was still asking
            await self._socket.send_text(encode(row).decode())


def _is_ping(text: str) -> bool:
    try:
        return text == "ping" or msgspec.json.decode(text, type=_Said).type == "ping"
    except (msgspec.MsgspecError, RecursionError):
        return False
