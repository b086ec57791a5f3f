from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from midspan.server import sse
from midspan.server.hub import Hub
from midspan.server.reader import Reader
from midspan.server.sse import EventStream, comment, frame
from tests.server.live import Events, parse


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\ntwo", "one\rtwo"])
def test_data_of_several_lines_is_one_event(text: str) -> None:
    assert frame(text) == b"data: one\ndata: two\n\n"
    assert frame(text.encode()) == frame(text)


def test_a_frame_has_its_fields_in_front_and_ends_with_a_blank_line() -> None:
    assert frame("x", event="update", id="1-2", retry=3) == b"retry: 3\nid: 1-2\nevent: update\ndata: x\n\n"


def test_text_that_looks_like_a_line_end_to_others_stays_in_its_line() -> None:
    text = "a\u2028b\u2029c\u0085d\x0be"
    assert parse(frame(text).decode().strip("\n").split("\n")).data == text


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_an_event_name_or_id_with_a_line_end_is_refused(bad: str) -> None:
    for wrong in ({"event": bad}, {"id": bad}):
        with pytest.raises(ValueError, match="line end"):
            frame("x", **wrong)
    with pytest.raises(ValueError, match="line end"):
        comment(bad)


def test_no_data_is_an_empty_line_of_data() -> None:
    assert frame("") == b"data: \n\n"


# --- the response -------------------------------------------------------------------------------


@pytest.fixture
def streaming(served, registry) -> Iterator[Callable[..., Hub]]:
    """`streaming(operation_id=…, heartbeat=…)`: serves `/` with an EventStream of these options; returns its hub."""
    switch, _ = served

    def serve(operation_id: str | None = "a", **options: Any) -> Hub:
        hub = Hub(registry)

        async def stream(_) -> EventStream:
            return EventStream(hub.open(operation_id=operation_id), shown, **options)

        switch.app = Starlette(routes=[Route("/", stream)])
        return hub

    return serve


def shown(operation) -> list[bytes]:
    return [frame(f"{operation.operation_id} {operation.stage} {operation.status}")]


@pytest.fixture
def http(served):
    import httpx2

    with httpx2.Client(base_url=served[1].url, timeout=20, verify=False) as client:
        yield client


def test_a_stream_opens_at_once_and_ends_after_the_ending(streaming, http, registry) -> None:
    streaming(first=[frame("first")])
    with http.stream("GET", "/") as response:
        stream = Events(response)
        opening = next(iter(stream))
        assert (opening.retry, opening.comments) == (3000, ["open"])
        assert stream.next().data == "first"
        tracker = registry.create_tracker("a")
        tracker.enter_stage("one")
        tracker.complete()
        assert [event.data for event in stream.rest()][-2:] == ["a one running", "a one completed"]


def test_the_headers_keep_proxies_from_holding_it_back(streaming, http) -> None:
    streaming(is_over=True)
    answer = http.get("/")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers


def test_head_is_answered_with_the_headers_only(streaming, http, eventually) -> None:
    hub = streaming()
    answer = http.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    eventually(lambda: hub.reader_count == 0)


def test_a_silent_stream_has_heartbeats(streaming, http, monkeypatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    hub = streaming()
    with http.stream("GET", "/") as response:
        stream = Events(response)
        comments = [next(iter(stream)).comments for _ in range(3)]
    assert comments == [["open"], ["ping"], ["ping"]]
    assert sse.PING == b": ping\n\n"
    hub.close()


def test_a_heartbeat_may_be_made_anew_each_time(streaming, http, monkeypatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    beats = iter(range(1000))
    hub = streaming(heartbeat=lambda: frame(f"beat {next(beats)}"))
    with http.stream("GET", "/") as response:
        stream = Events(response)
        assert [stream.next().data, stream.next().data] == ["beat 0", "beat 1"]
    hub.close()


def test_a_closed_hub_says_bye_with_a_time_to_come_back(streaming, http) -> None:
    hub = streaming()
    with http.stream("GET", "/") as response:
        stream = Events(response)
        next(iter(stream))
        hub.close()
        (last,) = stream.rest()
    assert (last.name, last.json) == ("bye", {"reason": "shutdown"})
    assert last.retry is not None and 1000 <= last.retry <= 5000


def test_a_stream_that_is_old_ends_so_that_its_reader_comes_back(streaming, http, monkeypatch, eventually) -> None:
    monkeypatch.setattr(sse, "MAX_AGE_SECONDS", 0.01)
    hub = streaming()
    with http.stream("GET", "/") as response:
        (last,) = Events(response).rest()
    assert (last.name, last.json) == ("bye", {"reason": "age"})
    eventually(lambda: hub.reader_count == 0)


def test_a_client_that_leaves_leaves_nothing(streaming, http, eventually) -> None:
    hub = streaming()
    with http.stream("GET", "/") as response:
        stream = Events(response)
        next(iter(stream))
        assert hub.reader_count == 1
    eventually(lambda: hub.reader_count == 0)


async def sent_by(stream: EventStream) -> list[bytes]:
    """The bodies that a stream sends to a client that stays."""
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    await stream({"type": "http", "method": "GET"}, receive, send)
    return sent


def test_many_frames_are_sent_in_pieces_of_a_bounded_size(registry, monkeypatch) -> None:
    monkeypatch.setattr(sse, "MAX_SEND_BYTES", 100)

    async def read() -> list[bytes]:
        reader = Reader(lambda _: None)
        for number in range(50):
            reader.offer(registry.create_tracker(f"op-{number}").get_progress_details(), due=False)
        reader.shut()
        return await sent_by(EventStream(reader, shown))

    sent = asyncio.run(read())
    assert b"".join(sent).count(b"data: op-") == 50
    assert max(map(len, sent)) < 100 + len(b"data: op-49 None pending\n\n")


def connected(url: str, receive_buffer: int = 1024) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.connect((host, int(port)))
    return raw


def test_a_client_that_never_reads_is_dropped_and_delays_nobody(
    streaming, served, http, registry, monkeypatch, eventually
) -> None:
    monkeypatch.setattr(sse, "SEND_SECONDS", 0.3)
    hub = streaming(None, first=[frame("x" * 8_000_000)])
    with closing(connected(served[1].url)) as never:
        never.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: hub.reader_count == 1)
        with http.stream("GET", "/") as response:
            stream = Events(response)
            assert len(stream.next().data or "") == 8_000_000
            registry.create_tracker("a").complete()
            assert (stream.next().data or "").startswith("a ")
            eventually(lambda: hub.reader_count == 1)
    hub.close()


def test_a_reader_that_was_too_slow_is_told_so_and_the_stream_ends(registry) -> None:
    async def read() -> list[bytes]:
        reader = Reader(lambda _: None)
        reader.offer(registry.create_tracker("a").get_progress_details(), due=False)
        reader.overflowed = True
        return await sent_by(EventStream(reader, shown))

    assert asyncio.run(read())[-3:] == [b"data: a None pending\n\n", sse.OVERFLOW, b""]


def test_a_half_closed_connection_is_noticed(streaming, served, eventually) -> None:
    hub = streaming()
    with closing(connected(served[1].url)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: hub.reader_count == 1)
        raw.shutdown(socket.SHUT_WR)
        eventually(lambda: hub.reader_count == 0)
