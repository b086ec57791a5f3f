"""Calls over each HTTP library and real sockets, by an SDK that does nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from midspan_instrumentation._call import wrap_call
from midspan_instrumentation._patch import Patch
from tests.faults.calls import told

IS_INSTALLED = all(importlib.util.find_spec(name) for name in ("aiohttp", "httpx", "httpx2", "requests"))
NOBODY = "http://localhost:1/ok"


class TransportCalls:
    """`actions()` are the calls: answered, read to the end, closed early, and tried again after a refusal."""

    def __init__(self) -> None:
        from tests.fakes import transport_sdk as sdk

        self._sdk = sdk
        self._stack = ExitStack()
        self._url = self._stack.enter_context(sdk.serving())
        for target in sdk.PROVIDER.targets:
            patch = Patch(target.module, target.qualname, wrap_call(sdk.PROVIDER, target))
            patch.install()
            self._stack.callback(patch.remove)

    def actions(self) -> list[Callable[[], str]]:
        """Everything that it does, in order."""
        hows: tuple[Any, ...] = (
            ("/ok", {}),
            ("/stream", {"stream": True}),
            ("/limited", {"attempts": 2}),
            ("/refused", {}),
        )
        sync = [self._asking(library, *how) for library in ("httpx2", "requests") for how in hows]
        waiting = [self._awaiting(library, *how) for library in ("httpx2", "aiohttp") for how in hows]
        sync.append(self._asking("httpx2", NOBODY, {}))
        return [told(action) for action in (*sync, *waiting)]

    def close(self) -> None:
        """The end of the server."""
        self._stack.close()

    def _asking(self, library: str, path: str, how: dict[str, Any]) -> Callable[[], object]:
        def ask() -> object:
            client = self._sdk.Sync(library)
            with client.http:
                got = client.ask(path if path == NOBODY else self._url + path, **how)
                if not how.get("stream"):
                    return got
                parts = got.iter_content(3) if library == "requests" else got.iter_bytes(3)
                first = next(parts)
                got.close()
                return first

        return ask

    def _awaiting(self, library: str, path: str, how: dict[str, Any]) -> Callable[[], object]:
        async def ask() -> object:
            client = self._sdk.Async(library)
            try:
                got = await client.ask(self._url + path, **how)
                if not how.get("stream"):
                    return got
                if library != "aiohttp":
                    return b"".join([part async for part in got.aiter_bytes()])
                first = await got.content.readexactly(3)
                got.content.read_nowait(0)
                got.close()
                return first
            finally:
                await client.close()

        return lambda: asyncio.run(ask())
