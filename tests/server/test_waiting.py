"""Long-poll and tags: asking for changes without asking all the time."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
import pytest

from midspan.core.failures import counts
from midspan.tracking.tracker import ProgressRegistry

ONE = "/v1/operations/one"


@pytest.fixture
def later(client: httpx2.Client):
    """Ask in another thread."""
    with ThreadPoolExecutor(4) as pool:
        yield lambda query, **options: pool.submit(client.get, f"{ONE}?{query}", **options)


@pytest.fixture
def watched(registry: ProgressRegistry, eventually) -> Callable[[], None]:
    """Wait until somebody waits."""
    return lambda: eventually(lambda: registry.watched)


def test_a_waiting_request_is_answered_by_the_next_change(later, registry, watched) -> None:
    tracker = registry.create_tracker("one")
    tracker.start()
    answer: Future[httpx2.Response] = later("wait=20")
    watched()
    tracker.enter_stage("streaming_response")
    assert answer.result(10).json()["stage"] == "streaming_response"


def test_a_quiet_change_comes_with_the_pulse(later, registry, clock, watched) -> None:
    tracker = registry.create_tracker("one")
    tracker.start()
    answer = later("wait=20")
    watched()
    tracker.update(message="new")
    registry.pulse(clock())
    assert answer.result(10).json()["message"] == "new"


def test_the_ending_answers_too(later, registry, watched) -> None:
    tracker = registry.create_tracker("one")
    tracker.start()
    answer = later("wait=20&after_seq=1000")
    watched()
    tracker.enter_stage("x")
    tracker.complete()
    assert answer.result(10).json()["status"] == "completed"


def test_a_change_of_another_operation_does_not(later, registry, watched) -> None:
    tracker = registry.create_tracker("one")
    tracker.start()
    answer = later("wait=20")
    watched()
    registry.create_tracker("two").complete()
    assert not answer.done()
    tracker.enter_stage("x")
    assert answer.result(10).json()["operation_id"] == "one"


@pytest.mark.parametrize("query", ["wait=60&after_seq=0", "wait=0", "wait=0&after_seq=99"])
def test_what_is_known_already_is_answered_at_once(client, registry, query: str) -> None:
    registry.create_tracker("one").start()
    assert client.get(f"{ONE}?{query}").json()["status"] == "running"


def test_an_ended_operation_is_not_waited_for(client, registry) -> None:
    registry.create_tracker("one").complete()
    assert client.get(f"{ONE}?wait=60&after_seq=999").json()["status"] == "completed"


def test_when_nothing_changes_the_answer_is_what_it_was(client, registry) -> None:
    registry.create_tracker("one").start()
    before = client.get(ONE)
    again = client.get(f"{ONE}?wait=1")
    assert (again.status_code, again.json()["sequence"]) == (200, before.json()["sequence"])
    assert again.headers["etag"] == before.headers["etag"]


def test_an_operation_that_is_forgotten_meanwhile_is_a_404(client, later, registry, watched) -> None:
    registry.create_tracker("one").start()
    answer = later("wait=20")
    watched()
    assert client.delete(f"{ONE}?force=1").status_code == 204
    assert answer.result(10).status_code in (200, 404)
    assert client.get(f"{ONE}?wait=20").status_code == 404


def test_nobody_waits_for_a_client_that_has_gone(client, registry, eventually) -> None:
    registry.create_tracker("one").start()
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(f"GET {ONE}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        eventually(lambda: registry.watched)
    eventually(lambda: not registry.watched)
    assert not counts()


def test_too_many_who_wait_are_turned_away(client, served, registry, eventually) -> None:
    registry.create_tracker("one").start()
    served[0].app.state.hub.max_readers = 2
    waiting = [http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=20) for _ in range(2)]
    for connection in waiting:
        connection.request("GET", f"{ONE}?wait=60")
    eventually(lambda: served[0].app.state.hub.reader_count == 2)
    refused = client.get(f"{ONE}?wait=60")
    assert (refused.status_code, refused.json()["status"]) == (503, 503)
    assert "retry-after" in refused.headers
    for connection in waiting:
        connection.close()
    eventually(lambda: not registry.watched)


@pytest.mark.parametrize(
    ("query", "name"), [("wait=61", "wait"), ("wait=x", "wait"), ("wait=1&after_seq=-1", "after_seq"), ("seq=1", "seq")]
)
def test_a_wrong_wait_is_a_problem_that_names_it(client, registry, query: str, name: str) -> None:
    registry.create_tracker("one")
    answer = client.get(f"{ONE}?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)


def test_a_running_operation_says_when_to_ask_again(client, registry, clock) -> None:
    tracker = registry.create_tracker("one", total_steps=10)
    assert client.get(ONE).headers["retry-after"] == "1"
    tracker.update(0)
    clock.advance(100)
    tracker.update(5)
    assert client.get(ONE).json()["estimated_remaining_seconds"] == pytest.approx(100)
    assert client.get(ONE).headers["retry-after"] == "10"
    clock.advance(100_000)
    assert client.get(ONE).headers["retry-after"] == "30"
    tracker.complete()
    assert "retry-after" not in client.get(ONE).headers


def test_the_tag_changes_when_the_operation_stalls(client, registry, clock) -> None:
    registry.create_tracker("one", stall_after=10).start()
    tag = client.get(ONE).headers["etag"]
    clock.advance(9)
    assert client.get(ONE, headers={"If-None-Match": tag}).status_code == 304
    clock.advance(2)
    again = client.get(ONE, headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["stalled"]) == (200, True)


def test_the_tag_changes_when_a_child_makes_progress(client, registry) -> None:
    parent = registry.create_tracker("one", expect_children=2)
    parent.start()
    child = registry.create_tracker("child", parent=parent)
    child.update(progress=0.2)
    tag = client.get(ONE).headers["etag"]
    child.update(progress=0.6)
    again = client.get(ONE, headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["progress"]) == (200, pytest.approx(0.3))
