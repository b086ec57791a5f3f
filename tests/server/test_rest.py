from __future__ import annotations

import json

import httpx2
import pytest

from midspan.core.wire import encode
from midspan.tracking.tracker import ProgressRegistry


def ids(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["operation_id"] for row in response.json()["operations"]]


def test_the_list_has_running_and_ended_operations_newest_first(client, registry, clock) -> None:
    for name in ("first", "second", "third"):
        registry.create_tracker(name)
        clock.advance(1)
    registry.get_tracker("second").complete()
    assert ids(client.get("/v1/operations")) == ["third", "second", "first"]


def test_an_operation_is_shown_exactly_as_the_registry_has_it(client, registry, clock) -> None:
    tracker = registry.create_tracker("one", "batch", 4, name="import", metadata={"k": "v"})
    clock.advance(2)
    tracker.update(1, "reading «ü»", stage="sending_request")
    answer = client.get("/v1/operations/one")
    assert answer.json() == {**json.loads(encode(registry.get("one"))), "trace_url": None}
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == client.get("/v1/operations").json()["operations"][0]


def test_numbers_follow_the_operation_while_it_runs(client, registry, clock) -> None:
    tracker = registry.create_tracker("one", total_steps=4)
    seen = []
    for step in (1, 2, 3):
        clock.advance(1)
        tracker.update(step)
        seen.append(client.get("/v1/operations/one").json())
    assert [row["percent_complete"] for row in seen] == [25.0, 50.0, 75.0]
    assert [row["elapsed_seconds"] for row in seen] == [0.0, 1.0, 2.0]


@pytest.fixture
def mixed(registry: ProgressRegistry) -> None:
    """One operation for each of some statuses and types."""
    registry.create_tracker("waiting", "batch")
    registry.create_tracker("running", "batch").start()
    registry.create_tracker("done", "embedding").complete()
    registry.create_tracker("broken", "agent").fail("no")
    registry.create_tracker("child", "agent", parent="running").cancel()


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=completed", {"done"}),
        ("status=completed&status=failed", {"done", "broken"}),
        ("status=completed,failed", {"done", "broken"}),
        ("status=completed,%20failed&status=pending", {"done", "broken", "waiting"}),
        ("status=lost", set()),
        ("type=batch", {"waiting", "running"}),
        ("type=batch,embedding&type=agent", {"waiting", "running", "done", "broken", "child"}),
        ("type=batch&status=running", {"running"}),
        ("type=no-such-type", set()),
        ("parent=running", {"child"}),
    ],
)
def test_filters_choose_operations(client, query: str, expected: set[str]) -> None:
    assert expected == set(ids(client.get(f"/v1/operations?{query}")))


@pytest.mark.parametrize(
    "query",
    ["state=running", "Status=running", "status=done", "status=", "status=failed,", "limit=0", "limit=501", "limit=-1",
     "limit=ten", "limit=1.5", "limit=99999999999999999999", "limit=%D9%A1", "limit=1&limit=2", "cursor=%21",
     "cursor=e30", "cursor=WzEsMl0", "cursor=", "parent=", "type="],
)  # fmt: skip
def test_a_wrong_query_is_a_problem_that_names_the_parameter(client, query: str) -> None:
    answer = client.get(f"/v1/operations?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert query.partition("=")[0] == answer.json()["parameter"]


def test_an_unknown_status_is_answered_with_the_accepted_ones(client) -> None:
    accepted = client.get("/v1/operations?status=stalled").json()["accepted"]
    assert accepted == ["pending", "running", "completed", "failed", "cancelled", "lost"]


@pytest.mark.parametrize("path", ["/v1/operations/one", "/v1/statistics"])
def test_other_paths_take_no_query_parameters(client, registry, path: str) -> None:
    registry.create_tracker("one")
    assert client.get(f"{path}?verbose=1").status_code == 400


def test_an_unknown_operation_is_a_404_problem(client) -> None:
    answer = client.get("/v1/operations/no-such-one")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:midspan:problem:operation-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "no operation 'no-such-one' is running or kept",
        "instance": "/v1/operations/no-such-one",
    }


@pytest.mark.parametrize(
    "path",
    ["..%2F..%2Fetc%2Fpasswd", "%2e%2e%2foperations", "..%5c..%5cx", "one%00", "%ff%fe", "one%0d%0aX-Evil:%201", "one/",
     "one/../one", "%E2%80%AE"],
)  # fmt: skip
def test_ids_that_try_to_be_paths_are_unknown(raw, registry, path: str) -> None:
    registry.create_tracker("one")
    answer = raw(f"/v1/operations/{path}")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "x-evil" not in answer.headers


def test_an_unchanged_operation_is_not_sent_again(client, registry) -> None:
    tracker = registry.create_tracker("one")
    tracker.update(message="a")
    operation = registry.get("one")
    tag = client.get("/v1/operations/one").headers["etag"]
    assert f'W/"{operation.epoch}-{operation.sequence}"' == tag
    again = client.get("/v1/operations/one", headers={"If-None-Match": f'"other", {tag}'})
    assert (304, b"", tag) == (again.status_code, again.content, again.headers["etag"])


def test_a_changed_operation_is_sent_again(client, registry) -> None:
    tracker = registry.create_tracker("one")
    tag = client.get("/v1/operations/one").headers["etag"]
    tracker.update(message="a")
    again = client.get("/v1/operations/one", headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["message"]) == (200, "a")


def test_a_new_operation_under_an_old_id_has_another_etag(client, registry, clock) -> None:
    tags = set()
    for _ in range(2):
        registry.create_tracker("one").complete()
        tags.add(client.get("/v1/operations/one").headers["etag"])
        clock.advance(1)
    assert len(tags) == 2


def test_deleting_forgets_an_ended_operation(client, registry) -> None:
    registry.create_tracker("one").complete()
    answer = client.delete("/v1/operations/one")
    assert (answer.status_code, answer.content) == (204, b"")
    assert registry.get("one") is None
    assert client.delete("/v1/operations/one").status_code == 404


def test_deleting_a_running_operation_is_a_conflict_and_leaves_it(client, registry) -> None:
    registry.create_tracker("one").start()
    answer = client.delete("/v1/operations/one")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:midspan:problem:operation-running")
    assert registry.get("one").status == "running"


@pytest.mark.parametrize("path", ["/v1/operations", "/v1/operations/one", "/v1/statistics", "/metrics", "/healthz"])
def test_head_answers_as_get_does_without_a_body(client, registry, path: str) -> None:
    registry.create_tracker("one")
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for header in ("content-type", "content-length"):
        assert get.headers[header] == head.headers[header]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/operations", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/operations/one", {"GET", "HEAD", "DELETE", "PATCH"}),
        ("GET", "/v1/operations/one/cancel", {"POST"}),
        ("POST", "/v1/statistics", {"GET", "HEAD"}),
        ("DELETE", "/metrics", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_a_405_problem_that_names_the_right_ones(client, method, path, allowed) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (405, 405)
    assert allowed == set(answer.headers["allow"].split(", "))
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1", "/v1/operation", "/v1/operations/", "/v2/operations"])
def test_an_unknown_path_is_a_404_problem(client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path", ["/v1/operations", "/v1/operations/none", "/v1/statistics", "/metrics", "/healthz", "/x"]
)
def test_no_answer_may_be_cached_or_sniffed(client, path: str) -> None:
    headers = client.get(path).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
