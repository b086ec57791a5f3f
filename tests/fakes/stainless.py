"""How applications make the clients of SDKs that Stainless's generator has written: OpenAI's, Groq's, Anthropic's."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any, Generic, TypeVar

from tests.fakes.sdk import NO_TLS, Respond, transport

Sync = TypeVar("Sync")
Async = TypeVar("Async")

# Whoever compares two requests needs the same boundary in both.
SOUND: Any = {"file": ("a.wav", b"sound"), "extra_headers": {"Content-Type": "multipart/form-data; boundary=x"}}


class Clients(Generic[Sync, Async]):
    """The clients of one such SDK, by their classes; its API is below `path` on its server.

    `http` is the HTTP library of the installed version: httpx2 in the newest majors, httpx before.
    """

    def __init__(self, sync: type[Sync], asynchronous: type[Async], path: str = "") -> None:
        self._sdk = importlib.import_module(sync.__module__.partition(".")[0])
        self._sync: Any = sync
        self._async: Any = asynchronous
        self._path = path
        of_their_base = self._sdk.DefaultHttpxClient.__mro__[1].__module__
        self.http: ModuleType = importlib.import_module(of_their_base.partition(".")[0])

    @contextmanager
    def sync_client(self, url: str, **more: Any) -> Generator[Sync]:
        """A client that asks once, and is closed at the end."""
        with self._sync(**_once(url, self._sdk.DefaultHttpxClient(verify=NO_TLS), more)) as made:
            yield made

    @asynccontextmanager
    async def async_client(self, url: str, **more: Any) -> AsyncGenerator[Async]:
        """The same of the async kind."""
        made: Any = self.open_async_client(url, **more)
        async with made:
            yield made

    def open_async_client(self, url: str, **more: Any) -> Async:
        """One that nobody closes."""
        return self._async(**_once(url, self._sdk.DefaultAsyncHttpxClient(verify=NO_TLS), more))

    def over(self, respond: Respond) -> tuple[Sync, Async]:
        """A client of each kind that is answered in the process."""
        answered, url = transport(self.http, respond), f"http://model.example{self._path}"
        return (
            self._sync(**_once(url, self.http.Client(transport=answered), {})),
            self._async(**_once(url, self.http.AsyncClient(transport=answered), {})),
        )


def _once(url: str, http_client: Any, more: dict[str, Any]) -> dict[str, Any]:
    return {"api_key": "x", "base_url": url, "max_retries": 0, "http_client": http_client, **more}
