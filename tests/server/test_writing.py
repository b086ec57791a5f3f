"""Cancelling and forgetting over HTTP."""

from __future__ import annotations

import pytest

from midspan.core.retention import Limits
from midspan.tracking.tracker import ProgressRegistry

ONE = "/v1/operations/one"
CANCEL = f"{ONE}/cancel"


@pytest.fixture
def cancellable(registry: ProgressRegistry):
    """A running operation that looks whether it is to stop."""
    tracker = registry.create_tracker("one")
    tracker.start()
    tracker.state.cancel_mode = "cooperative"
    return tracker


def test_cancelling_asks_and_does_not_end(client, cancellable) -> None:
    answer = client.post(CANCEL, json={"reason": "enough"})
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.json()["cancel"]["mode"] == "cooperative"
    assert cancellable.cancel_requested
    assert not cancellable.is_ended


def test_asking_twice_is_asking_once(client, clock, cancellable) -> None:
    first = client.post(CANCEL).json()["cancel"]["requested_at"]
    clock.advance(5)
    again = client.post(CANCEL)
    assert (again.status_code, again.json()["cancel"]["requested_at"]) == (202, first)


def test_what_cannot_be_cancelled_says_so(client, registry) -> None:
    registry.create_tracker("one").start()
    answer = client.post(CANCEL)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:cancel-not-supported")


def test_what_has_ended_cancelled_is_as_was_asked(client, cancellable) -> None:
    cancellable.cancel("enough")
    assert client.post(CANCEL).status_code == 200


@pytest.mark.parametrize("ending", ["complete", "fail"])
def test_what_has_ended_otherwise_is_a_conflict(client, cancellable, ending: str) -> None:
    getattr(cancellable, ending)()
    answer = client.post(CANCEL)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:operation-ended")


@pytest.mark.parametrize(("body", "field"), [({"reason": 1}, "reason"), ({"why": "x"}, "why")])
def test_a_wrong_reason_is_a_problem(client, cancellable, body: dict, field: str) -> None:
    answer = client.post(CANCEL, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert not cancellable.cancel_requested


def test_an_unknown_operation_cannot_be_cancelled(client) -> None:
    assert client.post("/v1/operations/none/cancel").status_code == 404


def test_deleting_by_force_ends_and_forgets(client, registry, cancellable) -> None:
    assert client.delete(f"{ONE}?force=0").status_code == 409
    assert client.delete(f"{ONE}?force=1").status_code == 204
    assert registry.get("one") is None
    assert (cancellable.status, cancellable.state.status_reason) == ("cancelled", "deleted while it was running")
    assert cancellable.cancel_requested
    assert registry.statistics.series()[0].ended["cancelled"] == 1


def test_deleting_by_force_takes_also_what_cannot_be_cancelled(client, registry) -> None:
    tracker = registry.create_tracker("one")
    tracker.start()
    assert client.delete(f"{ONE}?force=1").status_code == 204
    tracker.update(message="late")
    tracker.complete()
    assert client.get(ONE).status_code == 404


def test_a_wrong_force_is_a_problem(client, registry) -> None:
    registry.create_tracker("one").complete()
    answer = client.delete(f"{ONE}?force=yes")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "force")
    assert registry.get("one") is not None


@pytest.fixture
def ended(registry: ProgressRegistry, clock) -> None:
    """Operations that have ended 20, 10 and 0 seconds ago, and one that runs."""
    for name, ending in (("a", "complete"), ("b", "fail"), ("c", "complete")):
        clock.advance(10)
        getattr(registry.create_tracker(name), ending)()
    registry.create_tracker("d").start()


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({}, ["d"]),
        ({"older_than": 5}, ["d", "c"]),
        ({"older_than": 20}, ["d", "c", "b"]),
        ({"older_than": 21}, ["d", "c", "b", "a"]),
        ({"statuses": ["failed"]}, ["d", "c", "a"]),
        ({"statuses": ["completed", "lost"], "older_than": 15}, ["d", "c", "b"]),
    ],
)
def test_cleaning_up_forgets_what_has_ended(client, body: dict, left: list[str]) -> None:
    answer = client.post("/v1/cleanup", json=body)
    assert answer.json() == {"removed": 4 - len(left)}
    assert sorted(left, reverse=True) == [
        row["operation_id"] for row in client.get("/v1/operations").json()["operations"]
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"older_than": -1}, "older_than"),
        ({"older_than": "1h"}, "older_than"),
        ({"statuses": ["running"]}, "statuses[0]"),
        ({"statuses": []}, "statuses"),
        ({"status": "failed"}, "status"),
    ],
)
@pytest.mark.usefixtures("ended")
def test_a_wrong_cleanup_forgets_nothing(client, body: dict, field: str) -> None:
    answer = client.post("/v1/cleanup", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert len(client.get("/v1/operations").json()["operations"]) == 4


# --- results ------------------------------------------------------------------------------------


def test_a_result_is_served_bare(client, registry) -> None:
    registry.create_tracker("one").complete(result=["a", 1])
    assert client.get(f"{ONE}/result").json() == ["a", 1]


def test_a_running_operation_has_no_result_yet(client, cancellable) -> None:
    answer = client.get(f"{ONE}/result")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["status"]) == (202, "1", "running")


@pytest.mark.parametrize(
    ("ending", "status", "kind"),
    [("fail", 409, "operation-ended"), ("cancel", 409, "operation-ended"), ("complete", 404, "result-not-kept")],
)
def test_an_operation_without_a_result_says_why(client, registry, ending: str, status: int, kind: str) -> None:
    getattr(registry.create_tracker("one"), ending)()
    answer = client.get(f"{ONE}/result")
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:midspan:problem:{kind}")


def test_of_a_failed_operation_the_answer_has_the_error(client, registry) -> None:
    registry.create_tracker("one").fail(ValueError("no such file"))
    answer = client.get(f"{ONE}/result").json()
    assert answer["operation_status"] == "failed"
    assert answer["error"] == {"type": "ValueError", "message": "no such file"}


# --- who may ------------------------------------------------------------------------------------

TOKENS = "read:look,write@ann:anns,write@bob:bobs"


def test_reading_tokens_change_nothing(serving, registry) -> None:
    registry.create_tracker("one").complete()
    with serving(registry, token=TOKENS) as client:
        client.headers["authorization"] = "Bearer look"
        answers = [
            client.post("/v1/operations", json={}),
            client.patch(ONE, json={}),
            client.delete(ONE),
            client.post(CANCEL),
            client.post("/v1/cleanup"),
        ]
        assert [answer.status_code for answer in answers] == [403] * 5
        assert client.get(ONE).status_code == 200


def test_what_belongs_to_another_principal_does_not_exist(serving, clock) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits())
    registry.create_tracker("nobodys").complete()
    with serving(registry, token=TOKENS) as client:
        ann, bob = {"authorization": "Bearer anns"}, {"authorization": "Bearer bobs"}
        created = client.post("/v1/operations", json={"operation_id": "one"}, headers=ann)
        assert created.json()["owner"]["principal"] == "ann"
        refused = [
            client.get(ONE, headers=bob),
            client.get(f"{ONE}/events", headers=bob),
            client.get(f"{ONE}/result", headers=bob),
            client.get("/v1/tree/one", headers=bob),
            client.patch(ONE, json={}, headers=bob),
            client.post(CANCEL, headers=bob),
            client.delete(f"{ONE}?force=1", headers=bob),
        ]
        assert [answer.status_code for answer in refused] == [404] * 7
        assert client.get("/v1/operations", headers=bob).json()["operations"] == []
        assert client.get("/v1/export?format=json", headers=bob).json() == []
        assert client.get("/v1/statistics", headers=bob).json()["running"] == 0
        assert client.patch(ONE, json={"status": "completed"}, headers=ann).status_code == 200
        assert client.get("/v1/statistics", headers=ann).json()["completed"] == 1
        assert client.post("/v1/cleanup", headers=bob).json() == {"removed": 0}
        assert client.post("/v1/cleanup", headers=ann).json() == {"removed": 1}
    assert registry.get("nobodys") is not None
