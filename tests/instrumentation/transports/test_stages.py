"""Stages, attempts and endings from the HTTP libraries themselves, whichever SDK stands above, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest

from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import http
from tests.fakes.transport_sdk import PARTS, PROVIDER, RETRY_AFTER, Async, Refused, Sync, serving
from tests.instrumentation.seen import the_ended, wrapped

Eventually = Callable[..., None]
Asking = Callable[..., Any]
CONNECTED = "connecting_to_model", "sending_request"
WAITING = "waiting_first_chunk"


@pytest.fixture
def seen() -> Iterator[Captured]:
    """The SDK's targets are wrapped, and so are the libraries."""
    with wrapped(PROVIDER) as captured:
        yield captured


class Client:
    """Asks over one library, sync or async, several times over the same connections; then lets go of what it got."""

    def __init__(self, library: str, is_async: bool) -> None:
        self.library, self.is_async = library, is_async

    def ask(
        self, *urls: str, read: Asking | None = None, pause: Callable[[], object] = lambda: None, **how: Any
    ) -> Any:
        return (
            asyncio.run(self._ask(urls, read, pause, how)) if self.is_async else self._ask_now(urls, read, pause, how)
        )

    def _ask_now(self, urls: tuple[str, ...], read: Asking | None, pause: Callable[[], object], how: Any) -> Any:
        sdk = Sync(self.library, pause)
        with sdk.http:
            for url in urls:
                got = sdk.ask(url, **how)
                got = got if read is None else read(got)
        return got

    async def _ask(self, urls: tuple[str, ...], read: Asking | None, pause: Callable[[], object], how: Any) -> Any:
        sdk = Async(self.library, pause)
        try:
            for url in urls:
                got = await sdk.ask(url, **how)
                got = got if read is None else await read(got)
        finally:
            await sdk.close()
        return got

    def __str__(self) -> str:
        return f"{self.library} {'async' if self.is_async else 'sync'}"


SYNC = [Client(library, False) for library in ("httpx2", "httpx", "requests")]
ASYNC = [Client(library, True) for library in ("httpx2", "httpx", "aiohttp")]
every_library = pytest.mark.parametrize("client", [*SYNC, *ASYNC], ids=str)


def stage_now() -> str | None:
    (state,) = get_progress_registry().running()
    operation = get_progress_registry().get(state.operation_id)
    return None if operation is None else operation.stage


@every_library
def test_a_call_connects_sends_and_waits_and_says_so_meanwhile(
    client: Client, seen: Captured, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    stages: list[str | None] = []
    look_up = socket.getaddrinfo

    def looking_up(*args: Any, **kwargs: Any) -> Any:
        stages.append(stage_now())
        return look_up(*args, **kwargs)

    with serving(lambda _: eventually(lambda: stage_now() == WAITING)) as url:
        monkeypatch.setattr(socket, "getaddrinfo", looking_up)
        assert client.ask(f"{url}/ok") == b"".join(PARTS)
    assert {*stages} == {"connecting_to_model"}
    assert the_ended(seen).stages_completed[:3] == (*CONNECTED, WAITING)


@every_library
def test_a_connection_that_is_reused_is_not_shown_as_connecting(client: Client, seen: Captured) -> None:
    with serving() as url:
        client.ask(f"{url}/ok", f"{url}/ok")
    first, second = seen.operations
    assert first.stages_completed[0] == "connecting_to_model"
    assert second.stages_completed[:2] == ("sending_request", WAITING)
    assert "connecting_to_model" not in [event.stage for event in second.history]


@contextmanager
def deaf(on_accept: Callable[[], object]) -> Iterator[str]:
    """A server that accepts a connection, and closes it without a word of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                on_accept()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}"
        thread.join()


@every_library
def test_tls_that_does_not_come_about_fails_the_call_while_it_connects(client: Client, seen: Captured) -> None:
    stages: list[str | None] = []
    with deaf(lambda: stages.append(stage_now())) as url, pytest.raises(Exception) as raised:  # noqa: PT011
        client.ask(url)
    operation = the_ended(seen)
    assert stages == ["connecting_to_model"]
    assert (operation.status, operation.stage) == ("failed", "connecting_to_model")
    assert operation.error is not None and operation.error.type.endswith(raised.type.__qualname__)


@contextmanager
def full() -> Iterator[str]:
    """A server that listens and accepts nobody; those who wait for it are as many as may."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield f"http://localhost:{server.getsockname()[1]}"


@every_library
def test_a_server_that_accepts_nobody_fails_the_call_while_it_connects(client: Client, seen: Captured) -> None:
    with full() as url, pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own
        client.ask(url, within=0.02)
    operation = the_ended(seen)
    assert (operation.status, operation.stages_completed) == ("failed", ("connecting_to_model",))


@every_library
def test_a_rate_limit_is_waited_for_until_the_servers_own_time(
    client: Client, seen: Captured, eventually: Eventually
) -> None:
    waiting: list[Operation] = []

    def pause() -> None:
        eventually(lambda: seen.operations[0].stage == "retrying")
        waiting.extend(seen.operations)

    with serving() as url:
        assert client.ask(f"{url}/limited", attempts=2, pause=pause) == b"".join(PARTS)
    (between,) = waiting
    assert (between.waiting_for, between.status_reason, between.attempt) == ("rate_limit", "429", 1)
    (begun,) = [event.at for event in between.history if event.stage == "retrying"]
    assert between.next_retry_at == pytest.approx(begun + RETRY_AFTER)
    operation = the_ended(seen)
    assert (operation.status, operation.attempt, operation.next_retry_at) == ("completed", 2, None)
    assert (operation.waiting_for, operation.status_reason) == (None, None)


@every_library
def test_a_refusal_that_the_sdk_raises_for_is_no_waiting(client: Client, seen: Captured) -> None:
    with serving() as url, pytest.raises(Refused):
        client.ask(f"{url}/refused")
    operation = the_ended(seen)
    assert (operation.status, operation.attempt, operation.stages_completed[-1]) == ("failed", 1, WAITING)


def parts_of(response: Any) -> Iterator[bytes]:
    return iter(response.iter_content(3) if hasattr(response, "iter_content") else response.iter_bytes(3))


def aparts_of(response: Any) -> AsyncIterator[bytes]:
    own = isinstance(response, aiohttp.ClientResponse)
    return aiter(response.content.iter_chunked(3) if own else response.aiter_bytes(3))


def read(response: Any) -> bytes:
    return b"".join(parts_of(response))


def close(response: Any) -> None:
    parts = parts_of(response)
    assert next(parts) == PARTS[0]
    response.close()


def drop(response: Any) -> None:
    next(parts_of(response))


async def aread(response: Any) -> bytes:
    return b"".join([part async for part in aparts_of(response)])


async def aclose(response: Any) -> None:
    parts = aparts_of(response)
    assert await anext(parts) == PARTS[0]
    if isinstance(response, aiohttp.ClientResponse):
        response.close()
    else:
        await response.aclose()


async def adrop(response: Any) -> None:
    await anext(aparts_of(response))


ENDINGS = {
    "read": (read, aread, "/stream", "completed", None),
    "read whole": (read, aread, "/ok", "completed", None),
    "closed": (close, aclose, "/stream", "cancelled", "closed early"),
    "dropped": (drop, adrop, "/stream", "cancelled", "dropped"),
    "cut": (read, aread, "/cut", "failed", None),
}


# aiohttp complains of what is dropped, in the collection that finds it.
@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
@every_library
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_answer_that_the_application_reads_itself_ends_as_it_ends(
    client: Client, ending: str, seen: Captured
) -> None:
    reading, areading, path, status, reason = ENDINGS[ending]
    with serving() as url:
        try:
            client.ask(f"{url}{path}", stream=True, read=areading if client.is_async else reading)
        except Exception:
            if ending != "cut":
                raise
    gc.collect()
    operation = the_ended(seen)
    assert (operation.status, operation.status_reason) == (status, reason)
    assert operation.stages_completed[:4] == (*CONNECTED, WAITING, "streaming_response")
    assert operation.error is None or ending == "cut"


@every_library
def test_a_request_that_belongs_to_no_call_is_left_alone(client: Client, seen: Captured) -> None:
    made: list[type] = []

    def look(response: Any) -> None:
        body = response.raw if hasattr(response, "raw") else response.stream
        made.append(type(body))
        read(response)

    async def alook(response: Any) -> None:
        made.append(type(response.content if isinstance(response, aiohttp.ClientResponse) else response.stream))
        await aread(response)

    for target in PROVIDER.targets:
        owner = {"Sync": Sync, "Async": Async}[target.qualname.partition(".")[0]]
        assert hasattr(owner.ask, "__wrapped__")
    with serving() as url, pytest.MonkeyPatch.context() as bare:
        bare.setattr(Sync, "ask", vars(Sync)["ask"].__wrapped__)
        bare.setattr(Async, "ask", vars(Async)["ask"].__wrapped__)
        client.ask(f"{url}/stream", stream=True, read=alook if client.is_async else look)
    assert not made[0].__name__.startswith("Observed")
    assert seen.operations == []


def test_the_applications_own_trace_goes_on(seen: Captured) -> None:
    told: list[str] = []
    sdk = Sync("httpx2")
    sdk.http.event_hooks["request"].append(
        lambda request: request.extensions.update(trace=lambda name, _: told.append(name))
    )
    with serving() as url, sdk.http:
        sdk.ask(f"{url}/ok")
    assert "connection.connect_tcp.started" in told and "http11.send_request_body.complete" in told
    assert the_ended(seen).stages_completed[:3] == (*CONNECTED, WAITING)


def test_a_custom_transport_of_the_sdk_connects_as_it_likes(seen: Captured) -> None:
    class Own(http.BaseTransport):
        def handle_request(self, request: Any) -> Any:
            assert stage_now() == "sending_request"
            return http.Response(200, content=iter(PARTS))

    sdk = Sync("httpx2")
    sdk.http = http.Client(transport=Own())
    with sdk.http:
        assert read(sdk.ask("http://localhost/stream", stream=True)) == b"".join(PARTS)
    assert the_ended(seen).stages_completed == ("sending_request", WAITING, "streaming_response")
