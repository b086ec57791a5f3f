from __future__ import annotations

import asyncio
import re

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer


async def own_page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("mine")


@pytest.fixture
def host_app(registry):
    """Another application, with midspan mounted under a prefix."""
    mounted = create_app(registry, metrics=lambda _: (b"page", "text/plain"), token="s3cret")
    app = Starlette(routes=[Mount("/ops/midspan", mounted), Route("/", own_page)])
    server = EmbeddedServer(lambda: app, port=0)
    server.start()
    with httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer s3cret"}, verify=False) as client:
        yield client
    server.stop()


def test_every_route_works_under_a_prefix(host_app, registry) -> None:
    registry.create_tracker("one").complete()
    paths = ["/v1/operations", "/v1/operations/one", "/v1/statistics", "/metrics", "/healthz", "/readyz"]
    assert [host_app.get(f"/ops/midspan{path}").status_code for path in paths] == [200] * 6


def test_the_probes_need_no_token_under_a_prefix_either(host_app) -> None:
    host_app.headers.pop("authorization")
    seen = [host_app.get(f"/ops/midspan{path}").status_code for path in ("/healthz", "/v1/operations")]
    assert seen == [200, 401]


def test_the_link_to_the_next_page_holds_under_a_prefix(host_app, registry) -> None:
    for number in range(3):
        registry.create_tracker(f"op-{number}")
    first = host_app.get("/ops/midspan/v1/operations?limit=2")
    second = host_app.get(first.url.join(first.links["next"]["url"]))
    assert [len(answer.json()["operations"]) for answer in (first, second)] == [2, 1]


def test_the_openapi_document_and_new_operations_know_the_prefix(host_app) -> None:
    assert host_app.get("/ops/midspan/v1/openapi.json").json()["servers"] == [{"url": "/ops/midspan"}]
    created = host_app.post("/ops/midspan/v1/operations", json={"operation_id": "one"})
    assert created.headers["location"] == "/ops/midspan/v1/operations/one"


def test_problems_under_a_prefix_are_problems(host_app) -> None:
    unknown, wrong = host_app.get("/ops/midspan/none"), host_app.delete("/ops/midspan/v1/operations")
    assert [answer.json()["status"] for answer in (unknown, wrong)] == [404, 405]
    assert unknown.json()["detail"] == "nothing is served at '/none'; GET /v1/openapi.json lists the paths of the API"
    assert set(re.findall("[A-Z]+", wrong.json()["detail"])) == {"DELETE", "GET", "HEAD", "POST"}


def test_a_server_that_speaks_no_websocket_says_what_is_missing(client) -> None:
    answer = client.get("/v1/ws/none", headers={"Upgrade": "websocket"})
    assert (answer.status_code, answer.json()["extra"]) == (501, "run")


def test_the_host_application_keeps_its_own_answers(host_app) -> None:
    page = host_app.get("/", headers={"Host": "public.example"})
    assert (page.status_code, page.text) == (200, "mine")
    assert "cache-control" not in page.headers
    assert host_app.get("/none").headers["content-type"] != "application/problem+json"


def test_the_end_of_the_apps_life_ends_its_streams_and_a_new_life_takes_new_ones(registry) -> None:
    app = create_app(registry, metrics=lambda _: (b"page", "text/plain"))

    async def live() -> list[bool]:
        async with app.router.lifespan_context(app):
            reader = app.state.hub.open()
            seen = [reader.closed]
        await reader.next(20)
        return [*seen, reader.closed]

    assert [asyncio.run(live()) for _ in range(2)] == [[False, True]] * 2
