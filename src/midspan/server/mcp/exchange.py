"""One request and its answer: the SDK notices a client that has gone only where it streams, so we do that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive

from midspan.server.disconnect import disconnect


async def while_connected(answer: Callable[[Receive], Awaitable[None]], receive: Receive) -> None:
    """Await `answer(receive)`, and cancel it when the client has gone, who may have waited for long."""
    body = [await receive()]
    while body[-1].get("more_body", False):
        body.append(await receive())
    gone = asyncio.ensure_future(disconnect(receive))

    async def replay() -> Message:
        return body.pop(0) if body else await asyncio.shield(gone)

    answering = asyncio.ensure_future(answer(replay))
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (gone, answering):
            task.cancel()
        await asyncio.wait({answering})
    if not answering.cancelled():
        answering.result()
