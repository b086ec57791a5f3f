"""A server that is told to stop waits for its connections: ours have to end by themselves, without patching it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx2
import pytest

from midspan.server.leaving import server_is_leaving
from tests.server.live import events

HOST = """
import socket
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
import midspan

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
midspan.ProgressTracker("a").start()
app = Starlette(routes=[Mount("/midspan", midspan.asgi())])
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
"""


@contextmanager
def host_application() -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """An application under uvicorn's own defaults: it waits for its connections without a limit."""
    process = subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/midspan"
        with httpx2.Client(base_url=url, timeout=20, verify=False) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/operations/a/stream"])
def test_a_host_application_that_is_told_to_stop_stops_while_streams_are_open(path: str) -> None:
    with host_application() as (process, client), events(client, path) as stream:
        assert stream.next().name == "snapshot"
        process.send_signal(signal.SIGTERM)
        last = stream.rest()[-1]
        assert (last.name, last.json) == ("bye", {"reason": "shutdown"})
        assert process.wait(20) == -signal.SIGTERM
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_server_whose_handler_says_that_it_leaves_is_leaving(monkeypatch) -> None:
    class Server(SimpleNamespace):
        def handle_exit(self) -> None: ...

    server = Server(should_exit=False)
    monkeypatch.setattr(signal, "getsignal", lambda _: server.handle_exit)
    assert not server_is_leaving()
    server.should_exit = True
    assert server_is_leaving()


@pytest.mark.parametrize("handler", [None, signal.SIG_DFL, signal.default_int_handler, print, object()])
def test_of_any_other_handler_nothing_is_known(monkeypatch, handler: object) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: handler)
    assert not server_is_leaving()
