from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from urllib.request import urlopen

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from midspan.core import failures
from midspan.server import embedded
from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from tests.server.live import events

LOGGERS = (None, "asyncio", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
ASKED = "from urllib.request import urlopen; print(urlopen(server.url + '/healthz').read().decode())"
PROGRAM = f"""
import sys
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.tracker import ProgressRegistry
before = {{"starlette", "uvicorn"}} & set(sys.modules)
def build():
    from midspan.server.app import create_app
    return create_app(ProgressRegistry(), metrics=lambda accept: (b"", "text/plain"))
server = EmbeddedServer(build, port=0)
server.start()
print(sorted(before))
{ASKED}
"""

FORKED = """
import os, socket, time
release, hold = os.pipe()
if os.fork() == 0:
    os.close(hold)
    server.abandon()
    os.read(release, 1)
    os._exit(0)
deadline, outcome = time.monotonic() + 20, "open"
server.stop()
while outcome == "open" and time.monotonic() < deadline:
    try:
        socket.create_connection(server.address, timeout=5).close()
    except ConnectionRefusedError:
        outcome = "refused"
os.close(hold)
os.wait()
print(outcome)
"""


@pytest.fixture
def build(registry):
    return lambda: create_app(registry, metrics=lambda _: (b"page", "text/plain"))


def run_program(text: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_the_port_is_known_and_connectable_as_soon_as_start_returns(build) -> None:
    server = EmbeddedServer(build, port=0)
    address = server.start()
    with socket.create_connection(address, timeout=5):
        assert ("127.0.0.1", server.address.port) == address
    server.stop()


def test_it_listens_on_ipv6_loopback_too(build) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = EmbeddedServer(build, "::1", 0)
    try:
        server.start()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    assert server.url.startswith("http://[::1]:")
    assert httpx2.get(f"{server.url}/v1/operations").status_code == 200
    server.stop()


def test_a_taken_port_is_replaced_with_one_warning_that_names_the_other(build, caplog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedServer(build, port=port)
        server.start()
        answer = httpx2.get(f"{server.url}/healthz")
        server.stop()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert port != server.address.port
    assert f"port {port} is taken" in warning.getMessage()
    assert server.url in warning.getMessage()
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org", "127.0.0.1.example.org"])
@pytest.mark.parametrize("token", [None, "", " , "])
def test_a_bind_beyond_loopback_is_refused_without_a_token(build, host: str, token: str | None) -> None:
    with pytest.raises(ValueError, match="without a token: set MIDSPAN_TOKEN"):
        EmbeddedServer(build, host, 0, token=token)


def test_a_bind_beyond_loopback_works_with_a_token(registry) -> None:
    def build():
        return create_app(registry, metrics=lambda _: (b"", "text/plain"), token="s3cret")

    server = EmbeddedServer(build, "0.0.0.0", 0, token="s3cret")
    port = server.start().port
    url = f"http://127.0.0.1:{port}/v1/operations"
    seen = [httpx2.get(url, headers=headers).status_code for headers in ({}, {"Authorization": "Bearer s3cret"})]
    server.stop()
    assert seen == [401, 200]


def test_a_host_that_cannot_be_bound_is_an_error_at_start(build) -> None:
    with pytest.raises(OSError, match=r".+"):
        EmbeddedServer(build, "192.0.2.1", 0, token="s3cret").start()


def test_stopping_leaves_neither_port_nor_thread(build, eventually) -> None:
    before = set(threading.enumerate())
    server = EmbeddedServer(build, port=0)
    address = server.start()
    with httpx2.Client(base_url=server.url) as kept_open:
        kept_open.get("/v1/operations")
        server.stop()
    # Those that answered are told to end, and not waited for.
    eventually(lambda: set(threading.enumerate()) <= before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_stopping_before_the_app_is_built_is_enough(build, eventually) -> None:
    before = set(threading.enumerate())
    stopped = threading.Event()

    def slow():
        stopped.wait(20)
        return build()

    server = EmbeddedServer(slow, port=0)
    server.start()
    server.stop(timeout=0)
    stopped.set()
    eventually(lambda: set(threading.enumerate()) <= before)


def test_stopping_what_never_started_does_nothing(build) -> None:
    EmbeddedServer(build).stop()


def test_it_starts_once(build) -> None:
    server = EmbeddedServer(build, port=0)
    server.start()
    with pytest.raises(RuntimeError):
        server.start()
    server.stop()


def test_a_forked_child_that_has_abandoned_the_server_does_not_keep_its_port() -> None:
    done = run_program(PROGRAM + FORKED)
    assert done.stdout.split()[-1] == "refused", done.stderr


def test_a_failing_build_is_reported_and_frees_the_port(monkeypatch, eventually) -> None:
    def build():
        raise RuntimeError("cannot be built")

    monkeypatch.setattr(failures, "raising", False)
    server = EmbeddedServer(build, port=0)
    server.start()
    eventually(lambda: failures.counts().get("server") == 1)
    server.stop()
    assert failures.counts()["server"] == 1


def test_the_program_ends_though_the_server_was_never_stopped_and_says_nothing() -> None:
    done = run_program(PROGRAM)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_libraries_of_the_server_are_not_imported_before_the_start() -> None:
    assert run_program(PROGRAM).stdout.split() == ["[]", "ok"]


def test_signals_stay_the_programs_own() -> None:
    program = "import signal; handlers = [signal.getsignal(s) for s in (2, 15)]\n" + PROGRAM
    done = run_program(program + "print(handlers == [signal.getsignal(s) for s in (2, 15)])")
    assert done.stdout.split()[-1] == "True"


def test_logging_of_the_program_stays_as_it_was(build) -> None:
    """An application that runs uvicorn itself keeps its handlers and levels, and sees nothing of our server."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate, list(logger.filters)) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        server = EmbeddedServer(build, port=0)
        server.start()
        with urlopen(f"{server.url}/v1/operations", timeout=20) as answer:
            assert answer.status == 200
        handlers = [handler in logger.handlers for logger in loggers]
        logging.getLogger("uvicorn.error").info("the application's own")
        server.stop()
    finally:
        for logger, (level, _, _) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
    assert handlers == [True] * 6
    assert before == [(logger.level, logger.propagate, list(logger.filters)) for logger in loggers]
    assert {"the application's own"} == {record.getMessage() for record in records if record.name != "midspan"}


def test_stopping_says_bye_to_open_streams_and_waits_for_none(build, registry) -> None:
    server = EmbeddedServer(build, port=0)
    server.start()
    with httpx2.Client(base_url=server.url, timeout=20, verify=False) as client, events(client, "/v1/stream") as stream:
        stream.next()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        (last,) = stream.rest()
        stopping.join(20)
    assert (last.name, last.json) == ("bye", {"reason": "shutdown"})
    assert not registry.watched


def test_stopping_says_bye_to_open_websockets(build) -> None:
    server = EmbeddedServer(build, port=0)
    server.start()
    with connect(f"ws://127.0.0.1:{server.address.port}/v1/ws") as socket:
        socket.send('{"type": "subscribe"}')
        for kind in ("subscribed", "snapshot"):
            assert f'"type":"{kind}"' in str(socket.recv(timeout=20))
        server.stop()
        assert socket.recv(timeout=20) == '{"type":"bye","reason":"shutdown"}'


def test_without_the_websockets_library_everything_else_is_served(build, monkeypatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    server = EmbeddedServer(build, port=0)
    server.start()
    with urlopen(f"{server.url}/v1/operations", timeout=20) as answer:
        assert answer.status == 200
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{server.address.port}/v1/ws")
    assert b"pip install 'midspan[run]'" in refused.value.response.body
    server.stop()


class Transport:
    """What matters of a connection's transport here."""

    def __init__(self, closing: bool) -> None:
        self.closing, self.aborted = closing, False

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


def test_a_connection_that_was_closed_and_takes_nothing_is_dropped_at_the_second_look(looking) -> None:
    stuck, open_one = Transport(True), Transport(False)
    look = looking(SimpleNamespace(transport=stuck), SimpleNamespace(transport=open_one), SimpleNamespace())
    look()
    assert not stuck.aborted
    look()
    assert (stuck.aborted, open_one.aborted) == (True, False)


def test_a_connection_without_a_whole_request_is_dropped_at_the_second_look(looking) -> None:
    silent, answered, running = Transport(False), Transport(False), Transport(False)
    idle = SimpleNamespace(transport=answered, cycle=SimpleNamespace(response_complete=True))
    look = looking(
        SimpleNamespace(transport=silent, cycle=None),
        SimpleNamespace(transport=running, cycle=SimpleNamespace(response_complete=False)),
        idle,
    )
    look()
    idle.cycle = SimpleNamespace(response_complete=True)  # it has asked again
    look()
    assert (silent.aborted, answered.aborted, running.aborted) == (True, False, False)
    look()
    assert (answered.aborted, running.aborted) == (True, False)


@pytest.fixture
def looking(build) -> Iterator[Callable[..., Callable[[], None]]]:
    """`looking(*connections)` → what the server does with them every 30 seconds."""
    server = EmbeddedServer(build, port=0)

    def look_at(*connections: SimpleNamespace) -> Callable[[], None]:
        server._server = SimpleNamespace(server_state=SimpleNamespace(connections=connections))  # pyright: ignore
        return server._drop_stuck

    yield look_at
    server._server = None
