from __future__ import annotations

import httpx2
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

from midspan.server.app import create_metrics_app
from midspan.server.embedded import EmbeddedServer

PATHS = ("/metrics", "/healthz", "/readyz", "/v1/operations")


def test_metrics_get_the_accept_header_and_decide_the_content_type(client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.content == b"# accept: application/openmetrics-text\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"


def test_healthz_says_that_the_process_is_alive(client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_readyz_follows_what_it_is_told(serving, registry) -> None:
    ready = [False]
    with serving(registry, ready=lambda: ready[0]) as client:
        before = client.get("/readyz")
        ready[0] = True
        after = client.get("/readyz")
    assert (
        before.status_code,
        before.headers["content-type"],
        after.status_code,
    ) == (503, "application/problem+json", 200)


def test_a_server_of_metrics_alone_asks_neither_for_host_nor_token() -> None:
    server = EmbeddedServer(lambda: create_metrics_app(lambda _: (b"page", "text/plain")), port=0, public=True)
    server.start()
    try:
        with httpx2.Client(base_url=server.url, headers={"Host": "pod-7.cluster"}) as client:
            seen = {path: client.get(path).status_code for path in PATHS}
    finally:
        server.stop()
    assert seen == {"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/operations": 404}


def test_what_is_served_is_not_instrumented(serving, registry) -> None:
    seen: list[bool] = []

    def metrics(_: str) -> tuple[bytes, str]:
        seen.append(is_http_instrumentation_enabled())
        return b"", "text/plain"

    with serving(registry, metrics=metrics) as client:
        client.get("/metrics")
    assert seen == [False]
