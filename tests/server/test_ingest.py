"""Progress from outside: what any program may report over HTTP."""

from __future__ import annotations

import threading

import httpx2
import pytest
from opentelemetry import trace

from midspan.core import external
from midspan.core.external import SILENT_AFTER
from midspan.core.state import State
from midspan.tracking.outcome import MAX_RESULT_BYTES

URL = "/v1/operations"
ONE = f"{URL}/one"


def create(client: httpx2.Client, **body: object) -> dict:
    answer = client.post(URL, json={"operation_id": "one", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def report(client: httpx2.Client, **body: object) -> dict:
    answer = client.patch(ONE, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- creating -----------------------------------------------------------------------------------


def test_a_created_operation_is_one_like_any_other(client, registry) -> None:
    answer = client.post(
        URL,
        json={
            "operation_id": "one",
            "operation_type": "batch",
            "name": "nightly",
            "provider": "openai",
            "model": "m",
            "total": 40,
            "unit": "rows",
            "parent_id": "day",
            "stage": "reading",
            "message": "row 1",
            "progress": 0.25,
            "metadata": {"team": "a", "size": 3, "dry": False, "note": None},
            "deadline_at": "2030-01-01T00:00:00+01:00",
            "stall_after_seconds": 5,
        },
    )
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/operations/one")
    assert answer.json() == client.get(answer.headers["location"]).json()
    assert answer.headers["etag"] == client.get(ONE).headers["etag"]
    operation = registry.get("one")
    assert (operation.operation_type, operation.name, operation.status) == ("batch", "nightly", "running")
    assert (operation.provider, operation.model, operation.parent_id) == ("openai", "m", "day")
    assert (operation.total, operation.unit, operation.stage, operation.message) == (40, "rows", "reading", "row 1")
    assert (operation.progress, operation.metadata["size"]) == (0.25, 3)
    assert answer.json()["deadline_at"] == "2029-12-31T23:00:00.000Z"
    assert registry.state("one").stall_after == 5


def test_nothing_has_to_be_said(client, registry) -> None:
    row = client.post(URL, json={}).json()
    assert (row["operation_type"], row["name"], row["status"]) == ("general", "general", "running")
    assert registry.get(row["operation_id"]) is not None


def test_a_pending_one_starts_with_its_first_report(client) -> None:
    assert create(client, status="pending")["status"] == "pending"
    assert report(client, message="now")["status"] == "running"


def test_an_id_that_is_known_is_a_conflict(client, registry) -> None:
    registry.create_tracker("one").complete()
    answer = client.post(URL, json={"operation_id": "one"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:operation-exists")
    assert registry.get("one").status == "completed"


def test_their_number_is_limited(client, monkeypatch) -> None:
    monkeypatch.setattr(external, "MAX_EXTERNAL", 2)
    ids = [client.post(URL, json={}).json()["operation_id"] for _ in range(2)]
    refused = client.post(URL, json={})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    client.patch(f"{URL}/{ids[0]}", json={"status": "completed"})
    assert client.post(URL, json={}).status_code == 201


def test_it_belongs_to_the_trace_of_the_request(client, registry) -> None:
    traces: list[int] = []

    class Watcher:
        def on_start(self, state: State) -> None:
            traces.append(trace.get_current_span().get_span_context().trace_id)

        def on_update(self, state: State) -> None: ...
        def on_end(self, state: State) -> None: ...

    registry.add_processor(Watcher())
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert client.post(URL, json={}, headers=headers).status_code == 201
    assert client.post(URL, json={}).status_code == 201
    assert traces == [0x0AF7651916CD43DD8448EB211C80319C, 0]


def test_text_is_cleaned(client) -> None:
    row = create(client, name="a\u202eb", message="one\ntwo\x1b[31m", metadata={"k\n": "v\u2028"})
    assert (row["name"], row["message"], row["metadata"]) == ("a b", "one two [31m", {"k ": "v "})


# --- reporting ----------------------------------------------------------------------------------


def test_reports_are_seen_in_the_operation(client, clock) -> None:
    create(client, total_steps=4)
    clock.advance(1)
    row = report(client, step=1, message="first", stage="reading", metadata={"k": 1})
    assert (row["step"], row["percent_complete"], row["message"], row["stage"]) == (1, 25.0, "first", "reading")
    row = report(client, step=3, tokens={"input": 7, "output": 9})
    assert (row["step"], row["message"], row["stage"], row["metadata"]) == (3, "first", "reading", {"k": 1})
    assert (row["tokens"]["input"], row["tokens"]["output"], row["tokens"]["estimated"]) == (7, 9, False)


def test_how_much_is_done_is_told_as_a_sum(client) -> None:
    create(client, total=200)
    assert report(client, completed=50)["percent_complete"] == 25.0
    assert report(client, completed=50)["completed"] == 50
    row = report(client, completed=100, total=400, unit="files")
    assert (row["completed"], row["total"], row["unit"], row["percent_complete"]) == (100, 400, "files", 25.0)


def test_progress_does_not_fall(client) -> None:
    create(client)
    report(client, progress=0.5)
    assert report(client, progress=0.2)["progress"] == 0.5


def test_an_empty_report_is_a_sign_of_life(client, clock) -> None:
    create(client, stall_after_seconds=5)
    clock.advance(10)
    assert client.get(ONE).json()["stalled"]
    assert not report(client)["stalled"]


def test_an_operation_that_is_silent_stalls_and_then_is_lost(client, registry, clock) -> None:
    create(client)
    registry.pulse(clock.advance(61))
    assert client.get(ONE).json()["stalled"]
    registry.pulse(clock.advance(SILENT_AFTER))
    assert client.get(ONE).json()["status"] == "lost"
    assert client.patch(ONE, json={"message": "late"}).status_code == 409


def test_a_completed_one_has_its_result(client) -> None:
    create(client)
    row = report(client, status="completed", result={"answer": [1, "ü"]}, message="done")
    assert (row["status"], row["percent_complete"], row["message"]) == ("completed", 100.0, "done")
    assert client.get(f"{ONE}/result").json() == {"answer": [1, "ü"]}


def test_a_failed_one_has_its_error(client) -> None:
    create(client)
    row = report(client, status="failed", error={"type": "OutOfPaper", "message": "tray 2\nis empty"})
    assert (row["status"], row["error"]) == ("failed", {"type": "OutOfPaper", "message": "tray 2 is empty"})


def test_a_failure_without_an_error_still_has_a_type(client) -> None:
    create(client)
    assert report(client, status="failed")["error"] == {"type": "error", "message": None}


def test_a_cancelled_one_has_its_reason(client) -> None:
    create(client)
    row = report(client, status="cancelled", status_reason="user left")
    assert (row["status"], row["status_reason"]) == ("cancelled", "user left")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"error": {"type": "x"}}, "error"),
        ({"status": "completed", "error": {"type": "x"}}, "error"),
        ({"result": 1}, "result"),
        ({"status": "failed", "result": 1}, "result"),
        ({"status": "completed", "result": "x" * MAX_RESULT_BYTES}, "result"),
        ({"status_reason": "x"}, "status_reason"),
        ({"status": "lost"}, "status"),
        ({"status": "pending"}, "status"),
        ({"tokens": {"input": -1}}, "tokens.input"),
        ({"tokens": {"inptu": 1}}, "inptu"),
        ({"operation_type": "x"}, "operation_type"),
        ({"message": "x" * 513}, "message"),
        ({"metadata": {str(number): 1 for number in range(33)}}, "metadata"),
    ],
)
def test_a_wrong_report_changes_nothing_and_names_the_field(client, registry, body: dict, field: str) -> None:
    create(client)
    before = registry.get("one").sequence
    answer = client.patch(ONE, json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert registry.get("one").sequence == before


# --- conflicts ----------------------------------------------------------------------------------


def test_what_has_ended_takes_no_reports(client) -> None:
    create(client)
    report(client, status="completed")
    answer = client.patch(ONE, json={"status": "failed"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:operation-ended")
    assert client.get(ONE).json()["status"] == "completed"


def test_what_this_process_tracks_itself_takes_no_reports(client, registry) -> None:
    registry.create_tracker("one").start()
    answer = client.patch(ONE, json={"message": "mine"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:not-external")
    assert registry.get("one").message is None


@pytest.mark.parametrize("how", ["if-match", "sequence"])
def test_a_report_on_an_older_state_is_a_conflict(client, how: str) -> None:
    create(client)
    seen = client.get(ONE)

    def send() -> httpx2.Response:
        if how == "if-match":
            return client.patch(ONE, json={"message": "b"}, headers={"If-Match": seen.headers["etag"]})
        return client.patch(ONE, json={"message": "b", "sequence": seen.json()["sequence"]})

    assert send().status_code == 200
    conflict = send()
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:midspan:problem:sequence-conflict")
    assert conflict.json()["sequence"] == client.get(ONE).json()["sequence"]


def test_a_stalled_one_is_matched_by_the_tag_it_was_shown_with(client, clock) -> None:
    create(client, stall_after_seconds=1)
    clock.advance(5)
    tag = client.get(ONE).headers["etag"]
    assert tag.endswith('-stalled"')
    assert client.patch(ONE, json={"message": "b"}, headers={"If-Match": tag}).status_code == 200


def test_of_many_reports_on_the_same_state_one_is_taken(client) -> None:
    sequence = create(client)["sequence"]
    statuses: list[int] = []

    def send(number: int) -> None:
        statuses.append(client.patch(ONE, json={"message": str(number), "sequence": sequence}).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


def test_an_unknown_operation_takes_no_reports(client) -> None:
    assert client.patch("/v1/operations/none", json={}).status_code == 404


def test_whether_it_listens_is_said_when_it_is_created(client) -> None:
    create(client, cancel="cooperative")
    assert client.post(f"{ONE}/cancel", json={"reason": "enough"}).status_code == 202
    assert report(client, message="soon")["cancel"]["requested_at"] is not None
    row = report(client, status="cancelled", status_reason="was asked to")
    assert row["status_reason"] == "was asked to"
