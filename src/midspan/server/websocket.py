"""`/v1/ws`: several live views over one WebSocket, and the way to cancel what they show.

The server sends `{"type", "id", ...}`: `snapshot`, `update`, `end` and `reset` as the event streams do, several changes
as one `batch`; `subscribed`, `unsubscribed`, `cancel`, `pong` and `error` in answer to a message; `overflow` or `bye`
before it closes. Close codes: 4401 no or a wrong token, 4408 none within 5 seconds, 4429 too many streams of one
principal, messages or wrong tokens, 1013 too many streams of all, 1009 a message over 64 KiB.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from midspan.core import failures
from midspan.core.wire import encode
from midspan.server.auth import Credential, Gate, forbidden
from midspan.server.cancelling import cancelled
from midspan.server.hub import Hub
from midspan.server.messages import (
    MAX_MESSAGE_BYTES,
    Authenticate,
    CancelOperation,
    ClientMessage,
    Ping,
    Subscribe,
    Unsubscribe,
    read_message,
)
from midspan.server.problem import Problem
from midspan.server.rows import Rows
from midspan.server.sse import MAX_AGE_SECONDS, SEND_SECONDS
from midspan.server.tickets import ACCESS
from midspan.server.tokens import Access
from midspan.server.views import GOING_AWAY, TRY_LATER, Closing, Views
from midspan.server.visible import found
from midspan.tracking.tracker import ProgressRegistry

AUTH_SECONDS = 5.0
MAX_MESSAGES = 100
PER_SECONDS = 10.0
SUBPROTOCOL = "midspan.v1"

UNAUTHORIZED, TOO_LATE, TOO_MANY = 4401, 4408, 4429
TOO_BIG = 1009
_CODES = {401: UNAUTHORIZED, 429: TOO_MANY, 503: TRY_LATER}


def websocket_routes(registry: ProgressRegistry, hub: Hub, rows: Rows, gate: Gate) -> list[WebSocketRoute]:
    """The route."""

    open_now: set[Conversation] = set()

    async def converse(websocket: WebSocket) -> None:
        conversation = Conversation(websocket, registry, hub, rows, gate)
        open_now.add(conversation)
        try:
            await conversation.run(is_full=len(open_now) > hub.max_readers)
        finally:
            open_now.discard(conversation)

    return [WebSocketRoute("/v1/ws", converse)]


class Conversation:
    """One connection: a task that reads what the client says, and one for each subscription that tells it changes."""

    def __init__(self, websocket: WebSocket, registry: ProgressRegistry, hub: Hub, rows: Rows, gate: Gate) -> None:
        self.websocket = websocket
        self.registry = registry
        self.hub = hub
        self.rows = rows
        self.gate = gate
        self.access = Access()
        self._sending = asyncio.Lock()
        self._views = Views(registry, hub, rows, self._send_text)
        self._ending: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, *, is_full: bool = False) -> None:
        """The whole conversation, from the handshake to the close; closed at once where there `is_full`."""
        await self.websocket.accept(_subprotocol(self.websocket))
        if is_full:
            await self._close(Closing(TRY_LATER, "too many connections"))
            return
        age = asyncio.get_running_loop().call_later(MAX_AGE_SECONDS * random.uniform(0.9, 1.1), self._end, _AGE)
        self._spawn(self._listen())
        try:
            closing = await self._ending
        finally:
            age.cancel()
            self._views.close()
            for task in self._tasks:
                task.cancel()
        await self._close(closing)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Whatever ends a task ends the conversation, unless that was its purpose."""
        try:
            await work
        except Closing as closing:
            self._end(closing)
        except (WebSocketDisconnect, OSError):
            self._end(_GONE)
        except Exception:
            self._end(_BROKEN)
            failures.report("server")

    def _end(self, closing: Closing) -> None:
        if not self._ending.done():
            self._ending.set_result(closing)

    async def _close(self, closing: Closing) -> None:
        if closing is _GONE:
            return
        with suppress(WebSocketDisconnect, OSError):
            if closing.code == GOING_AWAY:
                await self._send({"type": "bye", "reason": closing.reason})
            async with asyncio.timeout(SEND_SECONDS):
                await self.websocket.close(closing.code, closing.reason)

    # --- what the client says -----------------------------------------------------------------

    async def _listen(self) -> None:
        await self._authenticate()
        loop = asyncio.get_running_loop()
        begun, count = loop.time(), 0
        while True:
            text = await self._receive()
            if loop.time() - begun > PER_SECONDS:
                begun, count = loop.time(), 0
            count += 1
            if count > MAX_MESSAGES:
                raise Closing(TOO_MANY, f"more than {MAX_MESSAGES} messages in {PER_SECONDS:g} seconds")
            await self._answer(text)

    async def _receive(self) -> str:
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
        if len(text) > MAX_MESSAGE_BYTES:
            raise Closing(TOO_BIG, f"a message may have {MAX_MESSAGE_BYTES} bytes")
        return text

    async def _authenticate(self) -> None:
        """The access of the handshake, or of the first message where tokens are in use and it had none."""
        known = self.websocket.scope.get(ACCESS)
        if known is not None or not self.gate.tokens:
            self.access = known or Access()
            return
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                first = await self._receive()
        except TimeoutError:
            raise Closing(TOO_LATE, f"no token within {AUTH_SECONDS:g} seconds") from None
        self.access = self._admitted(first)
        await self._send({"type": "authenticated", "scope": self.access.scope})

    def _admitted(self, first: str) -> Access:
        try:
            message = read_message(first)
            if not isinstance(message, Authenticate):
                raise Closing(UNAUTHORIZED, "the first message must be of the type auth")
            carrier, secret = ("ticket", message.ticket) if message.ticket else ("bearer", message.token)
            return self.gate.admit(Credential(secret or "", carrier), self.websocket.scope)
        except Problem as problem:
            raise Closing(_CODES.get(problem.status, UNAUTHORIZED), problem.detail) from None

    async def _answer(self, text: str) -> None:
        try:
            message = read_message(text)
            await self._act(message)
        except Problem as problem:
            code = _CODES.get(problem.status)
            if code is not None:
                raise Closing(code, problem.detail) from None
            await self._send({"type": "error", "problem": problem.body(self.websocket.url.path)})

    async def _act(self, message: ClientMessage) -> None:
        match message:
            case Subscribe():
                telling = await self._views.open(message, self.access)
                self._spawn(telling)
            case Unsubscribe():
                await self._views.leave(message.id)
            case CancelOperation():
                await self._cancel(message)
            case Ping():
                await self._send({"type": "pong", "id": message.id})
            case Authenticate():
                raise Problem(400, "bad-message", "a token is taken in the first message only")

    async def _cancel(self, message: CancelOperation) -> None:
        if not self.access.may("write"):
            raise forbidden("write")
        found(self.registry, message.op, self.access)
        operation = cancelled(self.registry, message.op, message.reason)
        await self._send({"type": "cancel", "op": message.op, "seq": operation.sequence, "status": operation.status})

    async def _send(self, message: dict[str, object]) -> None:
        await self._send_text(encode(message))

    async def _send_text(self, text: bytes) -> None:
        async with self._sending, asyncio.timeout(SEND_SECONDS):
            if self.websocket.application_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(1006)
            await self.websocket.send_text(text.decode())


_GONE = Closing(1000, "gone")
_BROKEN = Closing(1011, "midspan failed; its log says why")
_AGE = Closing(GOING_AWAY, "age")


def _subprotocol(websocket: WebSocket) -> str | None:
    """A browser that offers subprotocols wants one of them back."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return SUBPROTOCOL if SUBPROTOCOL in offered else offered[0] if offered else None
