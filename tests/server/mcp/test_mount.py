"""`/mcp` over plain HTTP: the bare JSON-RPC of seed S1, and who is turned away."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx2
import pytest

from midspan.core.operation import Status
from midspan.server.embedded import EmbeddedServer
from midspan.server.hub import Hub
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving, Switch
from tests.server.started import fixtures_of


def double(n: int) -> int:
    return 2 * n


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def registry() -> ProgressRegistry:
    return ProgressRegistry()


tasks, client = fixtures_of({"double": double, "forever": forever})


def message(name: str, **arguments: Any) -> dict[str, Any]:
    """Seed S1-31: no initialize, no session, no header but the content type."""
    return {"jsonrpc": "2.0", "method": "tools/call", "id": 1, "params": {"name": name, "arguments": arguments}}


def call(client: httpx2.Client, name: str, headers: dict[str, str] | None = None, /, **arguments: Any) -> Any:
    """The envelope of a bare call, as `call_and_parse` of seed S1 reads it."""
    answer = client.post("/mcp", json=message(name, **arguments), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return json.loads(answer.json()["result"]["content"][0]["text"])


def test_a_bare_post_starts_a_task_and_reads_it(client: httpx2.Client) -> None:
    started = call(client, "start_long_task", task_type="double", arguments={"n": 21})
    assert started["status"] == "success"
    operation_id = started["data"]["operation_id"]
    call(client, "wait_for_operation", operation_id=operation_id)
    assert call(client, "get_task_result", operation_id=operation_id)["data"]["output"] == 42


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_no_header_is_needed_but_the_content_type(client: httpx2.Client, path: str) -> None:
    request = client.build_request("POST", path, json=message("get_task_progress", operation_id="uuid"))
    del request.headers["accept"]
    answer = client.send(request)
    assert (answer.status_code, answer.json()["id"], answer.json()["result"]["isError"]) == (200, 1, True)


def test_the_hints_of_seed_s1_go_to_tasks_that_take_them_only(client: httpx2.Client) -> None:
    started = call(client, "start_long_task", task_type="forever", duration_seconds=3, steps=2)
    assert started["status"] == "success"


def test_an_idempotency_key_starts_once(client: httpx2.Client) -> None:
    ids = {
        call(client, "start_long_task", task_type="double", arguments={"n": 1}, idempotency_key="k")["data"][
            "operation_id"
        ]
        for _ in range(2)
    }
    assert len(ids) == 1


def test_what_cannot_be_cancelled_is_said_so(client: httpx2.Client, registry: ProgressRegistry) -> None:
    plain = registry.create_tracker().operation_id
    assert "cannot be cancelled" in call(client, "cancel_task", operation_id=plain)["error"]
    done = call(client, "start_long_task", task_type="double", arguments={"n": 1})["data"]["operation_id"]
    call(client, "wait_for_operation", operation_id=done)
    assert call(client, "cancel_task", operation_id=done)["data"]["cancel"] == "ended"


def test_reading_needs_the_scope_read_starting_and_cancelling_write_and_strangers_see_nothing(
    serving: Serving, registry: ProgressRegistry, tasks: Tasks
) -> None:
    with serving(registry, tasks=tasks, token="read:r write@ann:a write@bob:b") as client:
        ann, bob, reader = ({"authorization": f"Bearer {token}"} for token in "abr")
        assert client.post("/mcp", json=message("list_operations")).status_code == 401
        operation_id = call(client, "start_long_task", ann, task_type="forever")["data"]["operation_id"]
        for name in ("get_task_progress", "get_task_result", "cancel_task", "wait_for_operation"):
            assert "no operation" in call(client, name, bob, operation_id=operation_id)["error"]
        assert call(client, "list_operations", bob)["data"]["operations"] == []
        assert call(client, "get_statistics", bob)["data"]["started"] == 0
        assert len(call(client, "list_operations", reader)["data"]["operations"]) == 1
        for name, arguments in (("start_long_task", {"task_type": "double"}), ("cancel_task", {"operation_id": "x"})):
            assert "lacks the scope 'write'" in call(client, name, reader, **arguments)["error"]
        assert call(client, "cancel_task", ann, operation_id=operation_id)["status"] == "success"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_post_is_answered(client: httpx2.Client, method: str) -> None:
    assert client.request(method, "/mcp").status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"), [({"host": "evil.example"}, 421), ({"origin": "http://evil.example"}, 403)]
)
def test_a_foreign_host_or_origin_is_turned_away(client: httpx2.Client, headers: dict[str, str], status: int) -> None:
    assert client.post("/mcp", json=message("list_operations"), headers=headers).status_code == status


def test_an_oversized_body_is_turned_away(client: httpx2.Client) -> None:
    body = message("start_long_task", task_type="double", arguments={"n": "x" * 300_000})
    assert client.post("/mcp", json=body).status_code == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"jsonrpc": "2.0"}', 400), (b'{"jsonrpc": "2.0", "id": 1, "method": "walk"}', 200)],
)
def test_what_is_no_request_is_an_error_of_the_protocol(client: httpx2.Client, body: bytes, status: int) -> None:
    answer = client.post("/mcp", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] < 0


MODERN = "2026-07-28"


def endless_call(accept: str, protocol: str) -> bytes:
    """A request that is answered when a task has ended that never ends, in the protocol of this version."""
    body = message("start_long_task", task_type="forever")
    headers = {"host": "localhost", "content-type": "application/json", "accept": accept}
    meta: dict[str, Any] = {"progressToken": "p"}
    if protocol:
        named = {"protocolVersion": protocol, "clientInfo": {"name": "x", "version": "1"}, "clientCapabilities": {}}
        meta |= {f"io.modelcontextprotocol/{name}": value for name, value in named.items()}
        headers |= {"mcp-protocol-version": protocol, "mcp-method": "tools/call", "mcp-name": "start_long_task"}
    body["params"]["_meta"] = meta
    content = json.dumps(body).encode()
    headers["content-length"] = str(len(content))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + content


@pytest.mark.parametrize("protocol", ["", MODERN])
@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream"])
def test_a_client_that_goes_while_it_waits_leaves_nothing_but_its_task(
    client: httpx2.Client,
    served: tuple[Switch, EmbeddedServer],
    registry: ProgressRegistry,
    accept: str,
    protocol: str,
    eventually: Callable[..., None],
) -> None:
    switch, server = served
    hub: Hub = switch.app.state.hub  # type: ignore[attr-defined]
    with closing(socket.create_connection(server.address, timeout=20)) as connection:
        connection.sendall(endless_call(accept, protocol))
        eventually(lambda: hub.reader_count == 1)
    eventually(lambda: hub.reader_count == 0)
    assert [each.status for each in registry.operations()] == [Status.RUNNING]


WITHOUT = """
import sys
sys.modules["{missing}"] = None
import uvicorn
before = uvicorn.Server.handle_exit
from starlette.testclient import TestClient
import midspan
app = midspan.asgi()
loaded = {{name.partition(".")[0] for name, module in sys.modules.items() if module is not None}}
assert not loaded & {{"mcp", "sse_starlette", "pydantic"}}
answer = TestClient(app, base_url="http://localhost").post("/mcp", json={{}})
assert uvicorn.Server.handle_exit is before
print(answer.status_code, answer.json().get("detail"))
"""


@pytest.mark.parametrize(("missing", "said"), [("mcp", "501"), ("mcp_types", "501"), ("nothing", "400")])
def test_the_sdk_is_imported_late_or_found_missing_and_leaves_the_server_as_it_is(missing: str, said: str) -> None:
    code = WITHOUT.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)
    assert said == "400" or "pip install 'midspan[mcp]'" in done.stdout
