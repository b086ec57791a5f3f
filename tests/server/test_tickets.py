from __future__ import annotations

import pytest

from midspan.server.tickets import MAX_TICKETS, SECONDS, Tickets
from midspan.server.tokens import Access
from tests.server.live import events

READER = {"Authorization": "Bearer reader"}


@pytest.fixture
def guarded(serving, registry):
    with serving(registry, token="read@ann:reader other") as client:
        yield client


def ticket(client, path: str = "/v1/stream") -> str:
    answer = client.post("/v1/tickets", json={"path": path}, headers=READER)
    assert (answer.status_code, answer.json()["expires_in_seconds"]) == (201, 60)
    return answer.json()["ticket"]


def test_a_ticket_opens_one_stream_once(guarded) -> None:
    issued = ticket(guarded)
    with events(guarded, f"/v1/stream?ticket={issued}") as stream:
        assert stream.next().name == "snapshot"
    assert guarded.get(f"/v1/stream?ticket={issued}").status_code == 401


def test_a_ticket_is_for_the_path_that_it_was_asked_for(guarded, registry) -> None:
    registry.create_tracker("a").start()
    assert guarded.get(f"/v1/operations/a/stream?ticket={ticket(guarded)}").status_code == 401


def test_a_ticket_has_the_access_of_who_asked_for_it(guarded, registry) -> None:
    for name, principal in (("mine", "ann"), ("other", "bob")):
        tracker = registry.create_tracker(name)
        tracker.state.principal = principal
        tracker.start()
    with events(guarded, f"/v1/stream?ticket={ticket(guarded)}") as stream:
        assert [row["operation_id"] for row in stream.next().json["operations"]] == ["mine"]


def test_a_ticket_needs_a_token(guarded) -> None:
    assert guarded.post("/v1/tickets", json={"path": "/v1/stream"}).status_code == 401


WRONG = [{}, {"path": 3}, {"path": "v1"}, {"path": "/" + "a" * 600}, {"path": "/", "to": ""}, [], "x"]


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_request_names_the_field(guarded, body: object) -> None:
    answer = guarded.post("/v1/tickets", json=body, headers=READER)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] in ("path", "to", "")


def test_a_ticket_expires(clock) -> None:
    tickets = Tickets(clock)
    first, second = (tickets.issue(Access("read"), "/a") for _ in range(2))
    clock.advance(SECONDS)
    assert tickets.use(first, "/a") == Access("read")
    clock.advance(1)
    assert tickets.use(second, "/a") is None


def test_asking_uses_a_ticket_up_whatever_the_answer(clock) -> None:
    tickets = Tickets(clock)
    issued = tickets.issue(Access("read"), "/a")
    assert tickets.use(issued, "/b") is None
    assert tickets.use(issued, "/a") is None


def test_tickets_are_bounded_and_the_oldest_make_room(clock) -> None:
    tickets = Tickets(clock)
    issued = [tickets.issue(Access("read"), "/a") for _ in range(MAX_TICKETS + 1)]
    assert tickets.use(issued[0], "/a") is None
    assert tickets.use(issued[-1], "/a") == Access("read")
    assert len(set(issued)) == len(issued)
