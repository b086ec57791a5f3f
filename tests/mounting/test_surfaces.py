"""Every surface of midspan, below a prefix of somebody else's application."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from uuid import uuid4

import httpx2
from websockets.sync.client import connect

from tests.mounting.serving import Host
from tests.server.live import events


def made(http: httpx2.Client) -> str:
    """The id of an operation that was reported from outside."""
    answer = http.post("/v1/operations", json={"operation_id": uuid4().hex, "name": "from outside"})
    operation_id = answer.json()["operation_id"]
    assert answer.headers["location"] == f"/midspan/v1/operations/{operation_id}"
    return operation_id


def test_an_operation_of_the_host_is_listed(http: httpx2.Client) -> None:
    assert http.get("/v1/operations?q=of+the+host").json()["operations"][0]["operation_id"] == "a"


def test_a_stream_brings_what_changes(http: httpx2.Client) -> None:
    operation_id = made(http)
    with events(http, f"/v1/stream?ids={operation_id}") as stream:
        assert stream.next().json["operations"][0]["name"] == "from outside"
        assert http.delete(f"/v1/operations/{operation_id}?force=1").status_code == 204
        assert stream.until("end", operation_id).json["status"] == "cancelled"


def test_a_reader_that_has_left_is_forgotten(
    http: httpx2.Client, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    def readers() -> int:
        return http.get(f"{host.url}/state").json()["readers"]

    with events(http, "/v1/operations/a/stream") as stream:
        assert stream.next().json["operation_id"] == "a"
        assert readers() == 1
    eventually(lambda: readers() == 0)


def test_a_websocket_brings_what_changes(http: httpx2.Client) -> None:
    operation_id = made(http)
    with connect(str(http.base_url).replace("http", "ws", 1) + "v1/ws") as ws:
        ws.send(json.dumps({"type": "subscribe", "filter": {"ids": operation_id}}))
        assert [json.loads(ws.recv(timeout=20))["type"] for _ in range(2)] == ["subscribed", "snapshot"]
        assert http.delete(f"/v1/operations/{operation_id}?force=1").status_code == 204
        assert "cancelled" in str(ws.recv(timeout=20))


def test_an_mcp_client_is_answered(http: httpx2.Client) -> None:
    call = {"name": "list_operations", "arguments": {}}
    answer = http.post("/mcp", json={"jsonrpc": "2.0", "method": "tools/call", "id": 1, "params": call})
    assert "of the host" in answer.json()["result"]["content"][0]["text"]


def test_metrics_and_the_document_are_served(http: httpx2.Client) -> None:
    assert "midspan_operation_active" in http.get("/metrics").text
    assert http.get("/v1/openapi.json").json()["servers"] == [{"url": "/midspan"}]


def test_head_problems_and_the_host_check_are_as_everywhere(http: httpx2.Client) -> None:
    assert http.head("/v1/stream").headers["content-type"] == "text/event-stream; charset=utf-8"
    assert http.get("/v1/none").headers["content-type"] == "application/problem+json"
    assert http.get("/v1/stream", headers={"Host": "evil.example"}).status_code == 421


def test_the_page_and_all_that_it_names_are_below_the_prefix(http: httpx2.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="(?!data:)([^"#]+)"', page.text)
    assert named and not [address for address in named if address.startswith(("/", "http"))]
    for address in named:
        assert http.get(f"/{address}").status_code == 200
