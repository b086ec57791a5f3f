"""Seed S0's REST over a real server."""

from __future__ import annotations

import httpx2
import pytest

from midspan.models import Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving


@pytest.fixture
def three(registry: ProgressRegistry, clock: FakeClock) -> ProgressRegistry:
    """A completed, a failed and a running operation, in this order."""
    for name, finish in (("done", "complete"), ("broken", "fail")):
        tracker = registry.create_tracker(name, "batch", total_steps=4)
        tracker.update(3, f"{name}: step 3")
        getattr(tracker, finish)()
        clock.advance(10)
    registry.create_tracker("on", total_steps=4).update(1, "Step 1 completed", user="u1")
    return registry


def test_s0_06_22_43_the_ids_of_all_operations(three: ProgressRegistry, client: httpx2.Client) -> None:
    assert client.get("/progress/operations").json() == ["on", "broken", "done"]


def test_all_operations_with_their_details(three: ProgressRegistry, client: httpx2.Client) -> None:
    """Ruling C16."""
    rows = client.get("/progress/operations", params={"details": "true"}).json()
    assert [row["status"] for row in rows] == ["running", "failed", "completed"]


def test_s0_23_44_the_details_of_one(three: ProgressRegistry, client: httpx2.Client) -> None:
    row = client.get("/progress/operations/on").json()
    steps = row.pop("steps")
    assert row == {
        "operation_id": "on",
        "operation_type": "general",
        "status": "running",
        "message": "Step 1 completed",
        "current_step": 1,
        "total_steps": 4,
        "percent_complete": 25.0,
        "start_time": "2023-11-14T22:13:40.000Z",
        "end_time": None,
        "elapsed_seconds": 0.0,
        "eta_seconds": None,
        "metadata": {"user": "u1"},
        "result": None,
        "error": None,
    }
    assert (steps[-1]["step"], steps[-1]["message"]) == (1, "Step 1 completed")


def test_unknown_progress_is_null(registry: ProgressRegistry, client: httpx2.Client) -> None:
    registry.create_tracker("new").start()
    assert client.get("/progress/operations/new").json()["percent_complete"] is None


def test_s0_24_45_the_active_ones(three: ProgressRegistry, client: httpx2.Client) -> None:
    assert [row["operation_id"] for row in client.get("/progress/active").json()] == ["on"]


def test_s0_25_46_the_summary(three: ProgressRegistry, client: httpx2.Client) -> None:
    assert client.get("/progress/summary").json() == {
        "total_operations": 3,
        "active_operations": 1,
        "status_counts": {"pending": 0, "running": 1, "completed": 1, "failed": 1, "cancelled": 0},
        "type_counts": {"general": 1, "batch": 2},
    }


def test_what_is_lost_has_failed(registry: ProgressRegistry, client: httpx2.Client) -> None:
    """Ruling C6."""
    registry.end(registry.create_tracker("gone").state, Status.LOST, "process gone")
    row = client.get("/progress/operations/gone").json()
    assert (row["status"], row["error"]) == ("failed", "process gone")


def test_s0_47_deleting_forgets_an_operation(three: ProgressRegistry, client: httpx2.Client) -> None:
    assert client.delete("/progress/operations/done").json() == {"operation_id": "done", "deleted": True}
    assert client.get("/progress/operations/done").status_code == 404


def test_deleting_a_running_one_gives_it_up_without_stopping_its_work(
    three: ProgressRegistry, client: httpx2.Client
) -> None:
    tracker = three.get_tracker("on")
    assert tracker is not None
    assert client.delete("/progress/operations/on").status_code == 200
    assert client.get("/progress/operations/on").status_code == 404
    assert not tracker.cancel_requested
    tracker.update(2, "goes on")
    assert tracker.status is Status.CANCELLED


def test_s0_26_48_cleaning_up_forgets_what_has_ended(three: ProgressRegistry, client: httpx2.Client) -> None:
    assert client.post("/progress/cleanup", params={"max_age_seconds": 15}).json() == {"removed": 1}
    assert client.post("/progress/cleanup").json() == {"removed": 1}
    assert client.get("/progress/operations").json() == ["on"]


@pytest.mark.parametrize("age", ["soon", "-1", "nan", "inf", ""])
def test_a_bad_age_is_refused(three: ProgressRegistry, client: httpx2.Client, age: str) -> None:
    answer = client.post("/progress/cleanup", params={"max_age_seconds": age})
    assert answer.status_code == 422
    assert "max_age_seconds" in answer.json()["detail"]
    assert len(three.operations()) == 3


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_id_is_told_in_the_seeds_shape(client: httpx2.Client, method: str) -> None:
    answer = client.request(method, "/progress/operations/nobody")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Operation not found"})


def test_a_stranger_sees_and_cleans_up_nothing(registry: ProgressRegistry, serving: Serving) -> None:
    for name, principal in (("mine", "ann"), ("theirs", "bob")):
        tracker = registry.create_tracker(name)
        tracker.state.principal = principal
        tracker.complete()
    with serving(registry, token="write@ann:secret") as client:
        client.headers["authorization"] = "Bearer secret"
        assert client.get("/progress/operations").json() == ["mine"]
        assert client.get("/progress/operations/theirs").status_code == 404
        assert client.delete("/progress/operations/theirs").status_code == 404
        assert client.post("/progress/cleanup").json() == {"removed": 1}
    assert registry.get("theirs") is not None
