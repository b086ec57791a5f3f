"""Seed S3's monitor over a real server: sessions, statistics, and the WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from midspan.compat.monitor import BaseProcessor, ProcessingStage
from midspan.models import Status
from midspan.server.dialects import monitor_socket
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving

Eventually = Callable[..., None]


@pytest.fixture
def processor(registry: ProgressRegistry) -> BaseProcessor:
    return BaseProcessor({}, registry=registry)


def socket_url(client: httpx2.Client, query: str = "") -> str:
    return f"ws://{client.base_url.host}:{client.base_url.port}/ws/monitoring{query}"


@contextmanager
def monitoring(client: httpx2.Client, query: str = "", **options: Any) -> Generator[ClientConnection]:
    with connect(socket_url(client, query), open_timeout=10, close_timeout=5, **options) as socket:
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    text = socket.recv(timeout=10)
    assert isinstance(text, str)
    return json.loads(text)


def test_s3_24_26_36_37_a_session_with_its_events(
    processor: BaseProcessor, client: httpx2.Client, clock: FakeClock
) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    clock.advance(1.5)
    processor.emit_stage(session_id, ProcessingStage.SENDING_REQUEST, "Transmitting prompt")
    (row,) = client.get("/api/monitoring/sessions/active").json()
    assert row == client.get(f"/api/monitoring/sessions/{session_id}").json()
    event = row.pop("events")[-1]
    metadata = {
        "task": "summarize",
        "processor_type": "BaseProcessor",
        "content_length": 4,
        "processing_time": 1.5,
    }
    assert row == {
        "session_id": session_id,
        "start_time": 1_700_000_000.0,
        "current_stage": "sending_request",
        "progress": 0.18,
        "content_preview": "",
        "task": "summarize",
        "model": "llama",
        "processor_type": "BaseProcessor",
        "streaming_tokens": [],
        "metadata": metadata,
        "error": None,
        "progress_percent": 18.0,
        "indeterminate": False,
        "status": "running",
        "success": None,
        "end_time": None,
        "processing_time": 1.5,
        "final_result": None,
    }
    assert event == {
        "session_id": session_id,
        "stage": "sending_request",
        "timestamp": 1_700_000_001.5,
        "message": "Transmitting prompt",
        "progress": 0.18,
        "metadata": {},
        "error": None,
    }


def test_s3_13_progress_is_a_fraction_and_a_percentage(registry: ProgressRegistry, client: httpx2.Client) -> None:
    """Ruling C1; one of which nothing is known says so."""
    registry.create_tracker("half", total_steps=2).update(1, "on")
    registry.create_tracker("open").start()
    rows = {row["session_id"]: row for row in client.get("/api/monitoring/sessions/active").json()}
    assert (rows["half"]["progress"], rows["half"]["progress_percent"]) == (0.5, 50.0)
    assert (rows["open"]["progress"], rows["open"]["indeterminate"]) == (0.0, True)


def test_s3_25_28_recent_sessions_are_those_that_have_ended(
    registry: ProgressRegistry, client: httpx2.Client, clock: FakeClock
) -> None:
    registry.create_tracker("on").start()
    for name in ("first", "second", "third"):
        registry.create_tracker(name).complete()
        clock.advance(1)
    rows = client.get("/api/monitoring/sessions/recent").json()
    assert [row["session_id"] for row in rows] == ["third", "second", "first"]
    assert {row["success"] for row in rows} == {True}
    two = client.get("/api/monitoring/sessions/recent", params={"limit": 2}).json()
    assert [row["session_id"] for row in two] == ["third", "second"]


def test_s3_29_30_sessions_are_kept_for_an_hour(
    registry: ProgressRegistry, client: httpx2.Client, clock: FakeClock
) -> None:
    registry.create_tracker("done").complete()
    clock.advance(3599)
    registry.pulse(clock())
    assert client.get("/api/monitoring/sessions/done").status_code == 200
    clock.advance(2)
    registry.pulse(clock())
    assert client.get("/api/monitoring/sessions/done").status_code == 404


@pytest.mark.parametrize("limit", ["0", "501", "many", "-1"])
def test_a_bad_limit_is_refused(client: httpx2.Client, limit: str) -> None:
    answer = client.get("/api/monitoring/sessions/recent", params={"limit": limit})
    assert (answer.status_code, "limit" in answer.json()["detail"]) == (422, True)


def test_s3_17_23_statistics(processor: BaseProcessor, client: httpx2.Client, clock: FakeClock) -> None:
    for seconds, success in ((1.0, True), (3.0, True), (2.0, False)):
        session_id = processor.start_monitoring_session("text", "summarize", "llama")
        for count in range(1, 6):
            processor.emit_streaming_token(session_id, "x", count)
        clock.advance(seconds)
        processor.finish_monitoring_session(session_id, success)
    processor.start_monitoring_session("text", "summarize", "llama")
    assert client.get("/api/monitoring/statistics").json() == {
        "total_sessions": 4,
        "active_sessions": 1,
        "completed_sessions": 2,
        "failed_sessions": 1,
        "cancelled_sessions": 0,
        "success_rate": pytest.approx(2 / 3),
        "average_processing_time": 2.0,
        "max_processing_time": 3.0,
        "total_tokens": 15,
    }


def test_statistics_of_nothing_are_null_and_not_zero(client: httpx2.Client) -> None:
    body = client.get("/api/monitoring/statistics").json()
    assert (body["success_rate"], body["average_processing_time"]) == (None, None)


def test_an_unknown_session_is_a_404(client: httpx2.Client) -> None:
    answer = client.get("/api/monitoring/sessions/nobody")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Session not found"})


def test_s3_12_31_the_socket_tells_what_runs_and_then_each_change(
    processor: BaseProcessor, client: httpx2.Client, clock: FakeClock
) -> None:
    before = processor.start_monitoring_session("text", "summarize", "llama")
    clock.advance(1)
    with monitoring(client) as socket:
        first = receive(socket)
        assert first["type"] == "snapshot"
        assert [row["session_id"] for row in first["sessions"]] == [before]
        processor.emit_stage(before, ProcessingStage.SENDING_REQUEST, "Transmitting prompt")
        update = receive(socket)
        (event,) = update["events"]
        assert update["type"] == "update"
        assert (event["session_id"], event["stage"]) == (before, "sending_request")
        assert (event["message"], event["progress"], event["progress_percent"]) == ("Transmitting prompt", 0.18, 18.0)
        processor.finish_monitoring_session(before, success=False, error="no model")
        (end,) = receive(socket)["events"]
        assert (end["status"], end["success"], end["error"]) == ("failed", False, "no model")


def test_what_the_snapshot_has_shown_is_not_told_again(registry: ProgressRegistry, client: httpx2.Client) -> None:
    tracker = registry.create_tracker("shown")
    for message in ("none", "one"):
        tracker.update(message=message)
    with monitoring(client) as socket:
        receive(socket)
        registry.pulse(registry.clock())
        registry.create_tracker("new").start()
        assert [event["session_id"] for event in receive(socket)["events"]] == ["new"]


def test_s3_46_changes_at_the_same_time_are_one_frame(registry: ProgressRegistry, client: httpx2.Client) -> None:
    trackers = [registry.create_tracker(f"session-{number}") for number in range(20)]
    with monitoring(client) as socket:
        assert len(receive(socket)["sessions"]) == 20
        for tracker in trackers:
            tracker.update(progress=0.5)
        frames: list[list[dict[str, Any]]] = []
        registry.pulse(registry.clock())
        while len({event["session_id"] for frame in frames for event in frame if event["progress"] == 0.5}) < 20:
            frames.append(receive(socket)["events"])
    assert len(frames) < 20


def test_a_socket_is_answered_when_it_asks(client: httpx2.Client) -> None:
    with monitoring(client) as socket:
        receive(socket)
        for text in ('{"type": "ping"}', "ping"):
            socket.send(text)
            assert receive(socket) == {"type": "pong"}
        for text in ("nonsense", "[1]", '{"type": 5}', "[" * 10_000):
            socket.send(text)
        socket.send("ping")
        assert receive(socket) == {"type": "pong"}


def test_a_socket_that_leaves_leaves_nothing_behind(
    registry: ProgressRegistry, serving: Serving, eventually: Eventually
) -> None:
    with serving(registry) as client:
        with monitoring(client) as socket:
            receive(socket)
            assert registry.watched
        eventually(lambda: not registry.watched)


def test_a_binary_frame_ends_the_connection(client: httpx2.Client) -> None:
    with monitoring(client) as socket:
        receive(socket)
        socket.send(b"\x00")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_a_socket_is_told_to_come_back_after_an_hour(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_socket, "MAX_AGE_SECONDS", 0.01)
    with monitoring(client) as socket:
        receive(socket)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


def test_a_ping_that_crosses_our_close_is_not_answered_and_no_error(
    registry: ProgressRegistry, client: httpx2.Client, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client asks, and is heard only after the connection was closed for its age."""
    receive_text = WebSocket.receive_text

    async def late(socket: WebSocket) -> str:
        text = await receive_text(socket)
        await socket.close(1001)
        return text

    monkeypatch.setattr(WebSocket, "receive_text", late)
    with monitoring(client) as socket:
        receive(socket)
        socket.send("ping")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        eventually(lambda: not registry.watched)


def test_s3_53_sockets_have_a_limit(
    registry: ProgressRegistry, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(registry) as client:
        monkeypatch.setattr("midspan.server.hub.Hub._check_room", refuse)
        with monitoring(client) as socket, pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


def refuse(hub: object, principal: str | None) -> None:
    from midspan.server.problem import Problem

    raise Problem(503, "too-many-streams", "there are too many streams already")


def test_a_foreign_page_is_not_connected(client: httpx2.Client) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(socket_url(client), origin="http://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


def test_a_token_is_needed_and_a_strangers_sessions_are_not_told(registry: ProgressRegistry, serving: Serving) -> None:
    for name in ("ann", "bob"):
        tracker = registry.create_tracker(f"session-of-{name}")
        tracker.state.principal = name
        tracker.start()
    with serving(registry, token="read@ann:secret") as client:
        with pytest.raises(InvalidStatus):
            connect(socket_url(client))
        with monitoring(client, "?token=secret") as socket:
            assert [row["session_id"] for row in receive(socket)["sessions"]] == ["session-of-ann"]
            for name in ("bob", "ann"):
                found = registry.get_tracker(f"session-of-{name}")
                assert found is not None
                found.complete()
            assert [event["session_id"] for event in receive(socket)["events"]] == ["session-of-ann"]


def test_s3_43_without_a_client_nobody_watches(registry: ProgressRegistry, client: httpx2.Client) -> None:
    """So the pulse beats once a second, and no change is encoded."""
    registry.create_tracker("on").start()
    assert not registry.watched
    assert client.get("/api/monitoring/statistics").status_code == 200
    assert not registry.watched


def test_what_is_lost_has_not_succeeded(registry: ProgressRegistry, client: httpx2.Client) -> None:
    registry.end(registry.create_tracker("gone").state, Status.LOST, "process gone")
    row = client.get("/api/monitoring/sessions/gone").json()
    assert (row["success"], row["error"]) == (False, "process gone")
