"""Behind a proxy that takes a prefix away: the addresses that midspan tells are those from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.mounting.serving import ROOT_PATH, Host, start
from tests.server.live import events

TOKEN = "a-token-of-a-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    folder = tmp_path_factory.mktemp("proxied")
    found: dict[str, Host] = {}
    for name, (option, left) in ROOT_PATH.items():
        found[name] = start(name, "starlette", folder / name, option, "/proxy", MIDSPAN_TOKEN=TOKEN)
        found[name].prefix = left
    yield found
    for host in found.values():
        host.stop()


@pytest.fixture(params=ROOT_PATH)
def proxied(request: pytest.FixtureRequest, behind_proxy: dict[str, Host]) -> Iterator[httpx2.Client]:
    host = behind_proxy[request.param]
    with ExitStack() as stack:
        host.wait()
        yield stack.enter_context(httpx2.Client(base_url=host.midspan, headers=BEARER, timeout=20, verify=False))


def test_told_addresses_begin_with_the_hosts_root_path(proxied: httpx2.Client) -> None:
    answer = proxied.post("/v1/operations", json={"name": "from outside"})
    assert answer.headers["location"].startswith("/proxy/midspan/v1/operations/")
    assert proxied.get("/v1/openapi.json").json()["servers"] == [{"url": "/proxy/midspan"}]


def test_tokens_tickets_and_sessions_hold_below_a_prefix(proxied: httpx2.Client) -> None:
    assert proxied.get("/v1/operations", headers={"Authorization": ""}).status_code == 401
    assert proxied.get("/healthz", headers={"Authorization": ""}).status_code == 200
    ticket = proxied.post("/v1/tickets", json={"path": "/v1/stream"}).json()["ticket"]
    with events(proxied, f"/v1/stream?ticket={ticket}", Authorization="") as stream:
        assert stream.next().name == "snapshot"
    cookie = proxied.post("/v1/session").headers["set-cookie"]
    assert "Path=/proxy/midspan" in cookie
