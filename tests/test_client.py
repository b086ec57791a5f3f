"""The Python clients against a real server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from midspan.client import ApiError, Client, MCPClient, ServerEvent, connection, safe_stream, stream_progress
from midspan.client.connection import DEFAULT_URL, Api, EventStream, default_url, parse_events
from midspan.client.following import Following
from midspan.server import sse
from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.testing import FakeClock
from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry

Eventually = Callable[..., None]
TOKEN = "secret"


def double(number: int) -> int:
    return 2 * number


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[ProgressRegistry, EmbeddedServer]]:
    registry = ProgressRegistry(clock=FakeClock())
    tasks = Tasks(registry)
    tasks.add(Task.of("double", double, {}))
    app = create_app(registry, metrics=lambda accept: (b"", "text/plain"), token=TOKEN, tasks=tasks)
    server = EmbeddedServer(lambda: app, port=0, token=TOKEN)
    server.start()
    yield registry, server
    tasks.stop(within=5)
    server.stop()


@pytest.fixture
def registry(shared: tuple[ProgressRegistry, EmbeddedServer]) -> Iterator[ProgressRegistry]:
    yield shared[0]
    shared[0].clear()


@pytest.fixture
def url(shared: tuple[ProgressRegistry, EmbeddedServer]) -> str:
    return shared[1].url


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, token=TOKEN)


# --- the native API -------------------------------------------------------------------------------


def test_operations_are_listed_over_all_pages(registry: ProgressRegistry, client: Client) -> None:
    for number in range(5):
        registry.create_tracker(f"op-{number}")
        registry.clock.advance(1)  # type: ignore[attr-defined]
    names = [row["operation_id"] for row in client.operations(limit=2)]
    assert names == ["op-4", "op-3", "op-2", "op-1", "op-0"]
    assert list(client.operations(status="failed")) == []


def test_one_operation_is_read(registry: ProgressRegistry, client: Client) -> None:
    registry.create_tracker("op", total_steps=4).update(1, "on")
    row = client.operation("op")
    assert (row["status"], row["progress"], row["message"]) == ("running", 0.25, "on")


def test_an_operation_is_watched_to_its_end(registry: ProgressRegistry, client: Client, eventually: Eventually) -> None:
    tracker = registry.create_tracker("op")
    rows: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: rows.extend(client.watch("op")))
    watching = client.watch("op")
    assert next(watching)["status"] == "pending"
    thread.start()
    eventually(lambda: registry.watched)
    tracker.enter_stage("reading")
    tracker.complete(result={"pages": 3})
    assert [row["status"] for row in watching][-1] == "completed"
    thread.join(10)
    assert rows[-1]["result"] == {"pages": 3}


def test_a_task_is_started_with_arguments(registry: ProgressRegistry, client: Client, eventually: Eventually) -> None:
    operation_id = client.start("double", {"number": 21}, idempotency_key="once")
    assert client.start("double", {"number": 21}, idempotency_key="once") == operation_id
    eventually(lambda: client.operation(operation_id)["result"] == 42)


def test_a_cancellation_is_asked_for(registry: ProgressRegistry, client: Client) -> None:
    tracker = registry.create_tracker("op")
    tracker.start()
    assert not tracker.cancel_requested
    client.cancel("op", "not needed")
    assert tracker.cancel_requested


def test_statistics_are_read(registry: ProgressRegistry, client: Client) -> None:
    registry.create_tracker("op").complete()
    assert client.statistics()["completed"] == 1
    assert client.statistics("1h")["completed"] == 1


def test_a_refusal_raises_with_its_status_and_detail(client: Client) -> None:
    with pytest.raises(ApiError, match=r"HTTP 404: no operation 'nobody'") as refused:
        client.operation("nobody")
    assert refused.value.status == 404
    with pytest.raises(ApiError, match="404"):
        next(client.watch("nobody"))


def test_a_wrong_token_raises(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        Client(url, token="wrong").operation("op")
    assert refused.value.status == 401


def test_a_server_that_is_not_there_raises() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="refused"):
            Client(f"http://127.0.0.1:{taken.getsockname()[1]}").operation("op")


@pytest.mark.parametrize("url", ["ftp://host", "localhost:9465", "http://"])
def test_what_is_no_http_url_raises(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        Api(url)


@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        ("", DEFAULT_URL),
        ("off", DEFAULT_URL),
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::1]:81", "http://[::1]:81"),
    ],
)
def test_the_default_url_is_where_midspan_server_says(
    monkeypatch: pytest.MonkeyPatch, server: str, wanted: str
) -> None:
    monkeypatch.setenv("MIDSPAN_SERVER", server)
    assert default_url() == wanted


# --- server-sent events ---------------------------------------------------------------------------


def test_events_are_parsed_as_the_standard_says() -> None:
    lines = [
        b": open\n",
        b"retry: 3000\n",
        b"\n",
        b"event: progress\r\n",
        b"data: one\r\n",
        b"data:two\n",
        b"id: 7\n",
        b"\n",
        b"data\n",
        b"\n",
        b"data: cut off\n",
    ]
    assert list(parse_events(iter(lines))) == [
        ServerEvent("progress", "one\ntwo", "7"),
        ServerEvent("message", "", "7"),
    ]


# --- seed S1's functions ----------------------------------------------------------------------------


def test_s1_13_progress_is_streamed_to_the_callback(
    registry: ProgressRegistry, url: str, eventually: Eventually
) -> None:
    tracker = registry.create_tracker("op", total_steps=2)
    seen: list[dict[str, Any]] = []

    async def main() -> dict[str, Any]:
        following = asyncio.create_task(stream_progress(url, "op", seen.append, token=TOKEN))
        await asyncio.to_thread(eventually, lambda: seen)
        tracker.enter_stage("reading", "Processing step 1/2")
        await asyncio.to_thread(eventually, lambda: len(seen) > 1)
        tracker.complete("Completed 2 steps successfully")
        return await following

    last = asyncio.run(main())
    assert (last["status"], last["final_status"], last["progress"]) == ("completed", "completed", 100.0)
    assert [row["message"] for row in seen][1:] == ["Processing step 1/2", "Completed 2 steps successfully"]


def test_a_callback_may_be_a_coroutine_function(registry: ProgressRegistry, url: str) -> None:
    registry.create_tracker("op").complete("done")
    seen: list[str] = []

    async def callback(data: dict[str, Any]) -> None:
        seen.append(data["message"])

    asyncio.run(stream_progress(url, "op", callback, token=TOKEN))
    assert seen == ["done"]


def test_s1_03_07_refusals_and_failures_are_results(registry: ProgressRegistry, url: str) -> None:
    registry.create_tracker("op").fail("no data")
    assert asyncio.run(stream_progress(url, "op", token=TOKEN)) == {"status": "error", "error": "no data"}
    assert asyncio.run(stream_progress(url, "nobody", token=TOKEN)) == {"status": "error", "error": "HTTP 404"}
    assert asyncio.run(stream_progress(url, "op")) == {"status": "error", "error": "HTTP 401"}


def test_the_default_server_is_asked_where_only_an_id_is_given(
    registry: ProgressRegistry, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruling C18: both signatures of the seed."""
    monkeypatch.setenv("MIDSPAN_SERVER", url.removeprefix("http://"))
    registry.create_tracker("op").complete("done")
    assert asyncio.run(stream_progress("op", token=TOKEN))["final_status"] == "completed"


def test_s1_28_a_stream_that_takes_too_long_is_left(
    registry: ProgressRegistry, url: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its connection is closed, whatever the thread that reads it waits for: nobody watches any more."""
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 1000.0)
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 1000.0)
    registry.create_tracker("op").start()
    seen: list[object] = []

    async def main() -> dict[str, Any]:
        leaving = asyncio.create_task(safe_stream("op", 0.2, base_url=url, callback=seen.append, token=TOKEN))
        return await leaving

    assert asyncio.run(main()) == {"status": "error", "error": "Operation timed out"}
    eventually(lambda: not registry.watched)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that a stream was closed, whether a thread was reading it."""
    reading, is_closed, seen = threading.Event(), threading.Event(), list[bool]()
    read, close = HTTPResponse.readline, EventStream.close

    def noted_read(response: HTTPResponse, *limit: int) -> bytes:
        reading.set()
        try:
            line = read(response, *limit)
            if not line:
                is_closed.wait(0.03)  # whoever closes too early does it now
            return line
        finally:
            reading.clear()

    def noted_close(stream: EventStream) -> None:
        seen.append(reading.is_set())
        is_closed.set()
        close(stream)

    monkeypatch.setattr(HTTPResponse, "readline", noted_read)
    monkeypatch.setattr(EventStream, "close", noted_close)
    return seen


def test_a_stream_that_is_left_is_closed_once_nobody_reads_it(
    registry: ProgressRegistry, url: str, closed: list[bool]
) -> None:
    registry.create_tracker("slow-one").start()

    async def leave() -> None:
        async with Following(Api(url, token=TOKEN), "/progress/slow-one/stream") as stream:
            found = aiter(stream)
            assert (await anext(found)).type == "progress"
            async with asyncio.timeout(0.02):
                await anext(found)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert closed == [False]


def test_a_stream_that_is_left_before_it_is_there_is_closed_once_it_is(
    registry: ProgressRegistry, url: str, closed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create_tracker("slow-one").start()
    is_asked, may_answer = threading.Event(), threading.Event()
    stream = Api.stream

    def late(api: Api, path: str) -> EventStream:
        is_asked.set()
        assert may_answer.wait(10)
        return stream(api, path)

    async def leave() -> None:
        following = asyncio.create_task(stream_progress(url, "slow-one", token=TOKEN))
        await asyncio.to_thread(is_asked.wait, 10)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        may_answer.set()

    monkeypatch.setattr(Api, "stream", late)
    asyncio.run(leave())
    assert closed == [False]


def test_a_tool_that_cannot_be_called_is_an_error(url: str) -> None:
    answer = asyncio.run(MCPClient(url).call_and_parse("get_task_progress", {"operation_id": "op"}))
    assert answer == {"status": "error", "error": "HTTP 401"}
