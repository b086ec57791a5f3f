"""An application of one SDK: every call of the table, read to its end, closed early, dropped and refused."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

from tests.endings import reading
from tests.fakes.sdk import Case, Opened, Sdk

READ = (reading.read_all, reading.break_and_close, reading.break_and_drop)
AREAD = (reading.aread_all, reading.abreak_and_close, reading.abreak_and_drop)


class Calls:
    """`actions()` are the calls; making one gives a line: what came back, or what was raised."""

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk
        self._sync, self._async = sdk.over(lambda url, _, content: sdk.respond(url, content))

    def actions(self) -> list[Callable[[], str]]:
        """Everything that it does, in order."""
        made = [*self._answers(), *self._streams()]
        if self._sdk.async_client is not None:
            made += [self._awaiting(make) for make in (*self._async_answers(), *self._async_streams())]
        return [told(action) for action in made]

    def close(self) -> None:
        """The clients are closed by the collector: each SDK has its own word for it, or none."""
        self._sync = self._async = None
        gc.collect()

    def _answers(self) -> Iterator[Callable[[], object]]:
        for case in self._sdk.answers:
            for model in ("ok", "refused"):
                yield lambda case=case, model=model: self._sdk.facts(case.call(self._sync, model))

    def _streams(self) -> Iterator[Callable[[], object]]:
        for case in self._sdk.streams:
            for read in READ:
                yield lambda case=case, read=read: read(self._opened(case, self._sync, "ok"))
            yield lambda case=case: reading.read_all(self._opened(case, self._sync, "refused"))

    def _async_answers(self) -> Iterator[Callable[[], Any]]:
        for case in self._sdk.answers:
            yield lambda case=case: case.call(self._async, "ok")

    def _async_streams(self) -> Iterator[Callable[[], Any]]:
        for case in self._sdk.streams:
            for read in AREAD:
                yield lambda case=case, read=read: read(self._opened(case, self._async, "ok"))

    def _opened(self, case: Case, client: Any, model: str) -> Opened:
        return Opened(lambda: case.call(client, model), self._sdk.http_response)

    def _awaiting(self, make: Callable[[], Any]) -> Callable[[], object]:
        async def wait() -> object:
            return self._sdk.facts(await make())

        return lambda: asyncio.run(wait())


def told(action: Callable[[], object]) -> Callable[[], str]:
    def tell() -> str:
        try:
            return repr(action())
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return tell
