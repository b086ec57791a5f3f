"""A host application that is told to stop while streams are open."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.mounting.serving import Host, start
from tests.server.live import Events, events

WAITS_FOR_CLIENTS = sys.version_info >= (3, 12)
"""hypercorn 0.18 cuts streams after its own timeout, but `Server.wait_closed` waits for clients since Python 3.12."""


class Open:
    """A host with an event stream and a WebSocket open."""

    def __init__(self, host: Host, stack: ExitStack) -> None:
        self.host = host
        self._stack = stack
        client = stack.enter_context(httpx2.Client(base_url=host.midspan, timeout=30, verify=False))
        self.stream: Events = stack.enter_context(events(client, "/v1/stream"))
        self.ws: ClientConnection = stack.enter_context(connect(host.midspan.replace("http", "ws", 1) + "/v1/ws"))
        self.ws.send('{"type": "subscribe"}')
        assert "subscribed" in str(self.ws.recv(timeout=20)) and self.stream.next().name == "snapshot"

    def stop(self, clients_leave: bool = False) -> int:
        """Tell the host to stop; its exit status, before anybody has closed a connection, or after everybody has."""
        self.host.process.send_signal(signal.SIGTERM)
        if clients_leave:
            self._stack.close()
        return self.host.process.wait(30)


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    host = start(request.param, "fastapi", tmp_path / "host")
    try:
        host.wait()
        with ExitStack() as stack:
            yield Open(host, stack)
    finally:
        host.process.kill()
        host.process.wait()


def closing_code(ws: ClientConnection) -> int | None:
    """With which code a WebSocket was closed, once all that came before is read."""
    with suppress(ConnectionClosed):
        for _ in ws:
            pass
    return ws.close_code


@pytest.mark.parametrize("opened", ["uvicorn"], indirect=True)
def test_under_uvicorn_every_stream_says_goodbye_and_the_lifespan_ends(opened: Open) -> None:
    assert opened.stop() == -signal.SIGTERM
    assert opened.stream.rest()[-1].name == "bye"
    # By itself, as soon as it is told to stop, or by midspan: both are heard as the reason.
    assert closing_code(opened.ws) in (1001, 1012)
    assert opened.host.life == ["begun", "ended"]
    assert "Traceback" not in opened.host.said


@pytest.mark.parametrize("opened", ["hypercorn"], indirect=True)
def test_under_hypercorn_the_lifespan_ends(opened: Open) -> None:
    assert opened.stop(clients_leave=WAITS_FOR_CLIENTS) == 0
    assert opened.host.life == ["begun", "ended"]


@pytest.mark.parametrize("opened", ["granian"], indirect=True)
def test_under_granian_streams_are_cut_after_its_own_timeout(opened: Open) -> None:
    assert opened.stop() == 0
