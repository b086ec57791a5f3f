"""Functions that are started over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from opentelemetry import trace

from midspan.core.state import State
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving
from tests.server.started import fixtures_of


def render(document: str, pages: int = 3) -> dict[str, Any]:
    """Render a document."""
    return {"rendered": document, "pages": pages}


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def registry() -> ProgressRegistry:
    return ProgressRegistry()


tasks, client = fixtures_of({"render": render, "forever": forever}, max_running=1, max_queued=1)


def test_a_task_is_started_and_its_operation_has_the_result(
    client: httpx2.Client, eventually: Callable[..., None]
) -> None:
    answer = client.post("/v1/tasks/render", json={"document": "a.md"})
    started = answer.json()
    assert answer.status_code == 202 and started["name"] == "render"
    assert answer.headers["location"] == f"/v1/operations/{started['operation_id']}"
    eventually(lambda: client.get(answer.headers["location"]).json()["status"] == "completed")
    assert client.get(answer.headers["location"]).json()["result"] == {"rendered": "a.md", "pages": 3}


def test_tasks_are_listed_with_what_they_take(client: httpx2.Client) -> None:
    body = client.get("/v1/tasks").json()
    assert [task["name"] for task in body["tasks"]] == ["forever", "render"]
    row = body["tasks"][1]
    assert row["description"] == "Render a document." and row["parameters"]["required"] == ["document"]
    assert (body["running"], body["max_running"], body["results_dropped"]) == (0, 1, 0)


def test_a_task_without_arguments_needs_no_body(client: httpx2.Client) -> None:
    assert client.post("/v1/tasks/forever").status_code == 202


def test_an_unknown_task_is_404_with_those_there_are(client: httpx2.Client) -> None:
    answer = client.post("/v1/tasks/paint", json={})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:midspan:problem:task-not-found")
    assert answer.json()["tasks"] == ["forever", "render"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "document"), ({"document": 1}, "document"), ({"document": "a", "pages": "x"}, "pages"), ({"doc": 1}, "doc")],
)
def test_bad_arguments_are_422_and_name_the_parameter(
    client: httpx2.Client, registry: ProgressRegistry, body: dict[str, Any], field: str
) -> None:
    answer = client.post("/v1/tasks/render", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert field in answer.json()["detail"] and registry.operations() == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"{", "application/json", 400), (b"[]", "application/json", 422), (b"a=1", "text/plain", 415)],
)
def test_what_is_no_json_object_is_refused(client: httpx2.Client, body: bytes, kind: str, status: int) -> None:
    answer = client.post("/v1/tasks/render", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_when_no_more_may_wait_it_says_when_to_come_again(client: httpx2.Client) -> None:
    assert [client.post("/v1/tasks/forever").status_code for _ in range(2)] == [202, 202]
    answer = client.post("/v1/tasks/forever")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:midspan:problem:tasks-full"


@pytest.mark.parametrize("key", ["one-key", '"one-key"'])
def test_the_same_idempotency_key_gives_the_same_operation(client: httpx2.Client, key: str) -> None:
    first, again, other = (
        client.post("/v1/tasks/render", json={"document": document}, headers={"idempotency-key": key})
        for document in ("a", "a", "b")
    )
    assert first.json()["operation_id"] == again.json()["operation_id"]
    assert (other.status_code, other.json()["type"]) == (422, "urn:midspan:problem:idempotency-key-reused")


def test_a_key_whose_operation_was_forgotten_is_told(
    client: httpx2.Client, registry: ProgressRegistry, eventually: Callable[..., None]
) -> None:
    def post() -> httpx2.Response:
        return client.post("/v1/tasks/render", json={"document": "a"}, headers={"idempotency-key": "k"})

    operation_id = post().json()["operation_id"]
    eventually(lambda: registry.remove(operation_id))
    assert (post().status_code, post().json()["operation_id"]) == (409, operation_id)


@pytest.mark.parametrize("key", ["", '""', "x" * 256])
def test_a_bad_idempotency_key_is_400_and_names_the_header(client: httpx2.Client, key: str) -> None:
    answer = client.post("/v1/tasks/render", json={"document": "a"}, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["header"]) == (400, "Idempotency-Key")


def test_starting_needs_the_scope_write(serving: Serving, registry: ProgressRegistry, tasks: Tasks) -> None:
    with serving(registry, tasks=tasks, token="read:r write:w write@ann:a") as client:

        def post(token: str) -> httpx2.Response:
            return client.post("/v1/tasks/render", json={"document": "a"}, headers={"authorization": f"Bearer {token}"})

        assert (post("r").status_code, post("w").status_code) == (403, 202)
        assert post("a").json()["owner"]["principal"] == "ann"


class Traces:
    """A processor that notes the trace in which each operation starts."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_start(self, state: State) -> None:
        self.seen.append(trace.format_trace_id(trace.get_current_span().get_span_context().trace_id))

    def on_update(self, state: State) -> None: ...

    def on_end(self, state: State) -> None: ...


@pytest.mark.parametrize("way", ["rest", "mcp"])
def test_a_task_belongs_to_the_trace_of_whoever_starts_it(
    client: httpx2.Client, registry: ProgressRegistry, way: str
) -> None:
    traces, parent = Traces(), f"00-{'ab' * 16}-{'cd' * 8}-01"
    registry.add_processor(traces)
    if way == "rest":
        client.post("/v1/tasks/render", json={"document": "a"}, headers={"traceparent": parent})
    else:
        arguments = {"task_type": "render", "arguments": {"document": "a"}}
        params = {"name": "start_long_task", "arguments": arguments, "_meta": {"traceparent": parent}}
        client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    client.post("/v1/tasks/render", json={"document": "a"})
    assert traces.seen == ["ab" * 16, "0" * 32]


def test_an_app_without_tasks_has_none(serving: Serving, registry: ProgressRegistry) -> None:
    with serving(registry) as client:
        assert client.get("/v1/tasks").json()["tasks"] == []
