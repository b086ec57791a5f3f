"""What the host application is beside midspan stays as it was."""

from __future__ import annotations

import httpx2

from tests.mounting.serving import Host
from tests.server.live import events

LIST = {"jsonrpc": "2.0", "method": "tools/list", "id": 1, "params": {}}


def test_nothing_that_all_share_is_changed(host: Host, http: httpx2.Client) -> None:
    """Signals, loggers, hooks and the server's own class: not by mounting, and not by using every surface."""
    with events(http, "/v1/stream") as stream:
        assert stream.next().name == "snapshot"
    assert http.post("/mcp", json=LIST).status_code == 200
    state = http.get(f"{host.url}/state").json()
    assert state["before"] == state["mounted"] and state["started"] == state["now"]


def test_the_hosts_errors_are_the_hosts(host: Host) -> None:
    teapot, broken, unknown = (httpx2.get(f"{host.url}/{path}") for path in ("teapot", "broken", "none"))
    assert (teapot.status_code, teapot.text) == (418, "short and stout")
    assert (broken.status_code, unknown.status_code) == (500, 404)
    assert "problem" not in broken.headers["content-type"] + unknown.headers["content-type"]
    assert "RuntimeError: of the host's own" in host.said


def test_the_hosts_answers_carry_the_hosts_headers_only(host: Host) -> None:
    headers = httpx2.get(f"{host.url}/teapot").headers
    assert headers["x-host"] == "yes"
    assert "cache-control" not in headers


def test_the_hosts_lifespan_is_begun_once(host: Host) -> None:
    assert host.life == ["begun"]
