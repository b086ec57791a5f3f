"""A real server over the test's own registry, asked over real HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.core.registry import Registry
from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.tracker import ProgressRegistry


def page_of_metrics(accept: str) -> tuple[bytes, str]:
    return f"# accept: {accept}\n".encode(), "text/plain; version=0.0.4"


class Switch:
    """Hands every request to the app of the test that runs now: one server is enough for all of them."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Switch, EmbeddedServer]]:
    switch = Switch()
    server = EmbeddedServer(lambda: switch, port=0)
    server.start()
    yield switch, server
    server.stop()


Serving = Callable[..., AbstractContextManager[httpx2.Client]]


@pytest.fixture
def serving(served: tuple[Switch, EmbeddedServer]) -> Serving:
    """`with serving(registry, token=…) as client`, for other options than the default ones."""
    switch, server = served

    @contextmanager
    def serve(registry: Registry, **options: Any) -> Iterator[httpx2.Client]:
        switch.app = create_app(registry, **{"metrics": page_of_metrics, **options})
        # Without TLS here, reading the certificates for each client would only take time.
        with httpx2.Client(base_url=server.url, timeout=20, verify=False) as client:
            yield client

    return serve


@pytest.fixture
def client(serving: Serving, registry: ProgressRegistry) -> Iterator[httpx2.Client]:
    with serving(registry) as client:
        yield client


def ask(url: httpx2.URL, target: str) -> http.client.HTTPResponse:
    """A GET of `target` exactly as it is written: a better client would tidy it up, or refuse to send it."""
    connection = http.client.HTTPConnection(url.host, url.port, timeout=20)
    connection.putrequest("GET", target)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.fixture
def raw(client: httpx2.Client) -> Callable[[str], http.client.HTTPResponse]:
    return lambda target: ask(client.base_url, target)
