from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from socket import SO_RCVBUF, SOL_SOCKET, create_connection
from socket import socket as Socket  # noqa: N812 - the fixture has the name
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from midspan.server import hub as hub_module
from midspan.server import reader as reader_module
from midspan.server import views, websocket

TOKENS = "read@ann:ann-reads write:writer"

Connecting = Callable[..., AbstractContextManager[ClientConnection]]


@pytest.fixture
def url(client) -> str:
    return str(client.base_url).replace("http", "ws", 1) + "/v1/ws"


@pytest.fixture
def socket(url) -> Any:
    with connect(url, open_timeout=20) as opened:
        yield opened


@pytest.fixture
def guarded(serving, registry) -> Any:
    with serving(registry, token=TOKENS) as client:
        yield str(client.base_url).replace("http", "ws", 1) + "/v1/ws"


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def heard(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=20))


def subscribed(socket: ClientConnection, **message: Any) -> dict[str, Any]:
    """Subscribes; returns what it begins with."""
    say(socket, type="subscribe", **message)
    assert heard(socket) == {"type": "subscribed", "id": message.get("id", "")}
    return heard(socket)


def changes(socket: ClientConnection) -> list[dict[str, Any]]:
    """The next changes, from a batch or alone."""
    message = heard(socket)
    return message["events"] if message["type"] == "batch" else [message]


def until_end(socket: ClientConnection, operation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not any(each["type"] == "end" and each["op"] == operation_id for each in found):
        found += changes(socket)
    return found


def closing(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server closes."""
    _, received = to_the_end(socket)
    return received


def to_the_end(socket: ClientConnection) -> tuple[list[str], tuple[int, str]]:
    """The types of what comes until the server closes, and the code and reason with which it does."""
    types: list[str] = []
    with suppress(ConnectionClosed):
        while True:
            types.append(heard(socket)["type"])
    return types, (socket.close_code or 0, socket.close_reason or "")


# --- what it shows ------------------------------------------------------------------------------


def test_a_subscription_begins_with_a_snapshot_and_tells_every_change(socket, registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.start()
    snapshot = subscribed(socket, id="all")
    assert (snapshot["type"], snapshot["id"], snapshot["complete"]) == ("snapshot", "all", True)
    assert [row["operation_id"] for row in snapshot["operations"]] == ["a"]
    tracker.enter_stage("one")
    (update,) = changes(socket)
    assert (update["type"], update["id"], update["op"], update["seq"]) == ("update", "all", "a", 2)
    assert (update["operation"]["stage"], "history" in update["operation"]) == ("one", False)
    tracker.complete()
    end = until_end(socket, "a")[-1]
    assert (end["operation"]["status"], len(end["operation"]["history"])) == ("completed", 3)


def test_what_changes_together_comes_as_one_batch(socket, registry) -> None:
    trackers = [registry.create_tracker(f"op-{number}") for number in range(20)]
    subscribed(socket)
    for tracker in trackers:
        tracker.start()
    messages: list[dict[str, Any]] = []
    while sum(len(each.get("events", [each])) for each in messages) < 20:
        messages.append(heard(socket))
    assert any(each["type"] == "batch" for each in messages)
    assert len(messages) < 20


def test_batches_are_of_a_bounded_size(socket, registry, monkeypatch) -> None:
    monkeypatch.setattr(views, "MAX_BATCH_BYTES", 4000)
    trackers = [registry.create_tracker(f"op-{number}") for number in range(30)]
    subscribed(socket)
    for tracker in trackers:
        tracker.start()
    sizes: list[int] = []
    count = 0
    while count < 30:
        text = socket.recv(timeout=20)
        sizes.append(len(text))
        message = json.loads(text)
        count += len(message.get("events", [message]))
    assert max(sizes) < 4000 + 3000


def test_a_filter_chooses_and_several_subscriptions_are_told_apart(socket, registry) -> None:
    subscribed(socket, id="batches", filter={"type": "batch", "status": ["running", "pending"]})
    subscribed(socket, id="one", filter={"ids": ["b"]})
    registry.create_tracker("a", "batch").complete()
    registry.create_tracker("b").complete()
    seen: set[tuple[str, str]] = set()
    while ("one", "b") not in seen:
        seen |= {(each["id"], each["op"]) for each in changes(socket)}
    assert seen <= {("batches", "a"), ("one", "b")}


def test_no_more_is_told_after_unsubscribing(socket, registry) -> None:
    subscribed(socket, id="all")
    say(socket, type="unsubscribe", id="all")
    assert heard(socket) == {"type": "unsubscribed", "id": "all"}
    registry.create_tracker("a").complete()
    say(socket, type="ping")
    assert heard(socket)["type"] == "pong"
    assert not registry.watched


def test_a_subscription_with_the_same_id_replaces_the_first(socket, registry) -> None:
    subscribed(socket, filter={"type": "batch"})
    subscribed(socket, filter={"type": "tool"})
    registry.create_tracker("a", "batch").complete()
    registry.create_tracker("b", "tool").complete()
    assert {each["op"] for each in until_end(socket, "b")} == {"b"}


def test_a_reader_that_comes_back_goes_on_where_it_was(url, registry, clock) -> None:
    with connect(url) as first:
        last = subscribed(first)["event_id"]
    clock.advance(1)
    registry.create_tracker("a").complete()
    with connect(url) as second:
        begun = subscribed(second, after=last)
        assert (begun["type"], begun["op"]) == ("end", "a")


def test_a_reader_whose_place_is_gone_is_told_so_and_begins_again(socket) -> None:
    assert subscribed(socket, after="1-2")["type"] == "reset"
    assert heard(socket)["type"] == "snapshot"


def test_an_operation_is_cancelled_on_request(socket, registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.start()
    tracker.state.cancel_mode = "cooperative"
    say(socket, type="cancel", op="a", reason="enough")
    answer = heard(socket)
    assert (answer["type"], answer["op"], answer["status"]) == ("cancel", "a", "running")
    assert tracker.cancel_requested


def test_what_cannot_be_cancelled_is_a_problem(socket, registry) -> None:
    registry.create_tracker("a").start()
    say(socket, type="cancel", op="a")
    assert heard(socket)["problem"]["type"] == "urn:midspan:problem:cancel-not-supported"
    say(socket, type="cancel", op="b")
    assert heard(socket)["problem"]["status"] == 404


def test_a_ping_is_answered(socket) -> None:
    say(socket, type="ping", id="7")
    assert heard(socket) == {"type": "pong", "id": "7"}


# --- wrong messages and limits ------------------------------------------------------------------

WRONG = {
    "": "truncated",
    "[]": "object",
    "{}": "type",
    '{"type": "dance"}': "dance",
    '{"type": "subscribe", "filters": {}}': "filters",
    '{"type": "subscribe", "filter": {"status": "runing"}}': "runing",
    '{"type": "subscribe", "filter": {"stat": "running"}}': "stat",
    '{"type": "subscribe", "filter": {"status": 3}}': "filter",
    '{"type": "subscribe", "after": "x"}': "event id",
    '{"type": "unsubscribe", "id": "none"}': "none",
    '{"type": "cancel"}': "op",
    '{"type": "auth", "token": "x"}': "first message",
    "[" * 5000: "",
    '{"type": "ping"': "truncated",
    "\u0000": "malformed",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_wrong_message_is_answered_with_a_problem_that_names_it(socket, text: str) -> None:
    socket.send(text)
    answer = heard(socket)
    assert (answer["type"], 400 <= answer["problem"]["status"] < 500) == ("error", True)
    assert WRONG[text] in answer["problem"]["detail"]
    say(socket, type="ping")
    assert heard(socket)["type"] == "pong"


def test_a_message_over_64_kib_ends_the_connection(socket) -> None:
    socket.send("x" * (64 * 1024 + 1))
    assert closing(socket)[0] == 1009


def test_too_many_messages_end_the_connection(socket) -> None:
    for _ in range(websocket.MAX_MESSAGES + 1):
        say(socket, type="ping")
    assert closing(socket)[0] == 4429


def test_a_connection_has_sixteen_subscriptions_at_most(socket) -> None:
    for number in range(views.MAX_SUBSCRIPTIONS):
        subscribed(socket, id=str(number))
    say(socket, type="subscribe", id="more")
    assert heard(socket)["problem"]["type"] == "urn:midspan:problem:too-many-subscriptions"


def test_one_stream_too_many_ends_the_connection_with_try_again_later(serving, registry, monkeypatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_READERS", 1)
    monkeypatch.setitem(hub_module.Hub.__init__.__kwdefaults__, "max_readers", 1)
    with serving(registry) as client:
        url = str(client.base_url).replace("http", "ws", 1) + "/v1/ws"
        with connect(url) as socket:
            subscribed(socket, id="1")
            with connect(url) as second:
                assert closing(second) == (1013, "too many connections")
            say(socket, type="subscribe", id="2")
            assert closing(socket)[0] == 1013


def test_a_connection_that_is_too_slow_is_told_so_and_closed(socket, registry, monkeypatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_DUE", 5)
    subscribed(socket)
    tracker = registry.create_tracker("a")
    for number in range(60):
        tracker.enter_stage(f"s-{number}")
    types, (code, _) = to_the_end(socket)
    assert (types[-1], code) == ("overflow", 1013)


def test_a_connection_that_is_old_is_closed_so_that_it_comes_back(url, monkeypatch) -> None:
    monkeypatch.setattr(websocket, "MAX_AGE_SECONDS", 0.01)
    with connect(url) as socket:
        assert heard(socket) == {"type": "bye", "reason": "age"}
        assert closing(socket) == (1001, "age")


def test_a_connection_that_ends_leaves_nothing(url, registry, eventually) -> None:
    with connect(url) as socket:
        subscribed(socket)
        assert registry.watched
    eventually(lambda: not registry.watched)


def test_a_connection_that_never_reads_is_dropped_and_delays_nobody(
    socket, client, registry, monkeypatch, eventually
) -> None:
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.3)
    handshake = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    handshake += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
    text = b'{"type": "subscribe"}'
    with Socket() as never:
        never.setsockopt(SOL_SOCKET, SO_RCVBUF, 1024)
        never.connect((client.base_url.host, client.base_url.port))
        never.sendall(handshake.encode())
        assert never.recv(12) == b"HTTP/1.1 101"
        never.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
        eventually(lambda: registry.watched)
        flood = [registry.create_tracker(f"op-{number}") for number in range(3000)]
        for tracker in flood:
            tracker.update(1, "x" * 500, **{f"key-{number}": "v" * 250 for number in range(32)})
        eventually(lambda: not registry.watched)
    subscribed(socket)
    flood[0].complete()
    assert until_end(socket, "op-0")


def test_nothing_is_compressed(socket) -> None:
    assert socket.protocol.extensions == []


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"additional_headers": {"Authorization": "Bearer writer"}},
        {"subprotocols": ["midspan.v1", "bearer.writer"]},
        {"subprotocols": ["bearer.writer"]},
        {"additional_headers": {"Cookie": "midspan_token=writer"}},
    ],
)
def test_a_token_comes_with_the_handshake(guarded, how: dict[str, Any]) -> None:
    with connect(guarded, **how) as socket:
        assert socket.subprotocol == next(iter(how.get("subprotocols", [None])))
        assert subscribed(socket)["type"] == "snapshot"


def test_a_token_may_come_in_the_query(guarded) -> None:
    with connect(f"{guarded}?token=writer") as socket:
        assert subscribed(socket)["type"] == "snapshot"


def test_a_token_may_be_the_first_message(guarded) -> None:
    with connect(guarded) as socket:
        say(socket, type="auth", token="ann-reads")
        assert heard(socket) == {"type": "authenticated", "scope": "read"}
        assert subscribed(socket)["type"] == "snapshot"


@pytest.mark.parametrize("first", [{"type": "auth", "token": "wrong"}, {"type": "auth"}, {"type": "ping"}])
def test_without_a_known_token_in_the_first_message_the_connection_is_closed(guarded, first: dict[str, str]) -> None:
    with connect(guarded) as socket:
        say(socket, **first)
        assert closing(socket)[0] == 4401


@pytest.mark.parametrize("word", ["x" * 500, "é" * 59])
def test_a_first_message_that_would_not_fit_into_a_close_frame_is_cut_there(guarded, word: str) -> None:
    with connect(guarded) as socket:
        say(socket, type=word)
        code, reason = closing(socket)
    assert code == 4401
    assert reason.startswith(f"Invalid value '{word[:40]}") and len(reason.encode()) in (122, 123)


def test_a_path_that_is_none_is_refused_with_a_problem(url) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{url}s")
    answer = refused.value.response
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_first_message_that_does_not_come_ends_the_connection(guarded, monkeypatch) -> None:
    monkeypatch.setattr(websocket, "AUTH_SECONDS", 0.05)
    with connect(guarded) as socket:
        assert closing(socket)[0] == 4408


def test_a_wrong_token_in_the_handshake_opens_nothing(guarded) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{guarded}?token=wrong")
    assert refused.value.response.status_code == 401


def test_a_reader_cannot_cancel(guarded, registry) -> None:
    registry.create_tracker("a").start()
    with connect(f"{guarded}?token=ann-reads") as socket:
        say(socket, type="cancel", op="a")
        assert heard(socket)["problem"]["status"] == 403


def test_a_principal_sees_its_own_operations_only(guarded, registry) -> None:
    mine, other = registry.create_tracker("mine"), registry.create_tracker("other")
    mine.state.principal, other.state.principal = "ann", "bob"
    mine.start()
    other.start()
    with connect(f"{guarded}?token=ann-reads") as socket:
        assert [row["operation_id"] for row in subscribed(socket)["operations"]] == ["mine"]
        other.complete()
        mine.complete()
        assert {each["op"] for each in until_end(socket, "mine")} == {"mine"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_a_foreign_origin_opens_nothing(url, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin=origin)  # pyright: ignore[reportArgumentType]
    assert refused.value.response.status_code == 403


def test_a_foreign_host_opens_nothing(client) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect("ws://evil.example/v1/ws", sock=create_connection((client.base_url.host, client.base_url.port)))
    assert refused.value.response.status_code == 421
