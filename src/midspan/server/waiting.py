"""Long-poll: an answer that waits for a change."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import Receive

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.server.auth import access_of
from midspan.server.disconnect import disconnect
from midspan.server.hub import Hub
from midspan.server.reader import Reader
from midspan.server.visible import asked_operation


async def changed_operation(
    registry: Registry, hub: Hub, request: Request, after: int | None, within: float
) -> Operation:
    """The operation once its sequence is beyond `after` (None: what it is now), it has ended, or time is over.

    Also at once when the client has gone, or the server stops. `within` is in seconds. Raises Problem: 404, and 503 or
    429 where too many wait already.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    async with hub.open(operation_id=request.path_params["id"], principal=access_of(request.scope).principal) as reader:
        watching = asyncio.create_task(_watch(request.receive, reader))
        try:
            operation = asked_operation(registry, request)
            seen = operation.sequence if after is None else after
            while operation.sequence <= seen and not operation.is_terminal and not reader.closed:
                left = deadline - loop.time()
                if left <= 0:
                    break
                await reader.next(left)
                operation = asked_operation(registry, request)
        finally:
            watching.cancel()
    return operation


async def _watch(receive: Receive, reader: Reader) -> None:
    await disconnect(receive)
    reader.shut()
