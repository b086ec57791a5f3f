"""When a client has gone: what waits for long listens for that beside its waiting."""

from __future__ import annotations

from starlette.types import Message, Receive


async def disconnect(receive: Receive) -> Message:
    """The message that says so, once it comes; what else the client sends is passed over."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message
