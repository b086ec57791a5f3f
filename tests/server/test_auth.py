from __future__ import annotations

import logging
import threading
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from midspan.server.app import create_app
from midspan.server.auth import FAILURE_SECONDS, MAX_FAILURES, Failures
from tests.server.live import events

TOKENS = "read:looker, write:changer plain"


@pytest.fixture
def guarded(serving, registry):
    registry.create_tracker("one").complete()
    with serving(registry, token=TOKENS) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


WRONG = [{}, bearer("wrong"), bearer("read:looker"), {"Authorization": "Bearer"}, {"Authorization": "Basic bG9va2Vy"}]


@pytest.mark.parametrize("headers", WRONG)
def test_without_a_known_token_nothing_is_told(guarded, headers: dict[str, str]) -> None:
    for path in ("/v1/operations", "/v1/operations/one", "/v1/statistics", "/metrics", "/no-such"):
        answer = guarded.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["looker", "changer", "plain"])
def test_every_scope_includes_reading(guarded, token: str) -> None:
    assert guarded.get("/v1/operations", headers=bearer(token)).status_code == 200


def test_deleting_needs_the_scope_write(guarded, registry) -> None:
    refused = guarded.delete("/v1/operations/one", headers=bearer("looker"))
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:midspan:problem:scope-needed")
    assert registry.get("one") is not None
    assert guarded.delete("/v1/operations/one", headers=bearer("changer")).status_code == 204


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_need_no_token(guarded, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_a_known_token_does_not_open_a_foreign_host(guarded) -> None:
    headers = {**bearer("plain"), "Host": "evil.example"}
    assert guarded.get("/v1/operations", headers=headers).status_code == 421


# --- other ways to bring a token ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/operations/one/stream"])
def test_a_stream_takes_the_token_from_its_query(guarded, path: str) -> None:
    with events(guarded, f"{path}?token=looker") as stream:
        assert stream.next().name == "snapshot"
    assert guarded.get(f"{path}?token=wrong").status_code == 401


def test_other_routes_do_not_take_a_token_from_the_query(guarded) -> None:
    assert guarded.get("/v1/operations?token=plain").status_code == 401
    assert guarded.delete("/v1/operations/one?token=plain", headers={"Accept": "text/event-stream"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "query", "detail"),
    [
        ({}, "", "a token is needed"),
        (bearer("wrong"), "", "the token is not known here"),
        ({"Cookie": "midspan_token=old"}, "", "the token in the cookie midspan_token"),
        ({}, "token=wrong", "the token in the query is not known here"),
        ({}, "ticket=spent", "the ticket is unknown here"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_token(guarded, headers: dict[str, str], query: str, detail: str) -> None:
    answer = guarded.get(f"/v1/stream?{query}", headers=headers)
    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (401, detail)
    assert ("invalid_token" in answer.headers["www-authenticate"]) is (detail != "a token is needed")


def test_what_else_is_in_the_query_stays(guarded) -> None:
    with events(guarded, "/v1/stream?type=batch&token=looker&q=%C3%A9%26") as stream:
        assert stream.next().json["operations"] == []
    assert guarded.get("/v1/stream?token=looker&typ=batch").json()["parameter"] == "typ"


def test_a_page_that_sends_a_token_is_served_where_no_token_is_needed(client) -> None:
    with events(client, "/v1/stream?token=whatever") as stream:
        assert stream.next().name == "snapshot"


def test_a_cookie_reads_and_changes_only_with_a_header_that_no_foreign_page_can_send(guarded, registry) -> None:
    cookie = {"Cookie": "midspan_token=changer"}
    assert guarded.get("/v1/operations", headers=cookie).status_code == 200
    refused = guarded.delete("/v1/operations/one", headers=cookie)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:midspan:problem:csrf-header-needed")
    assert guarded.delete("/v1/operations/one", headers={**cookie, "X-Midspan-CSRF": "1"}).status_code == 204


@pytest.mark.parametrize("cookie", ["midspan_token=wrong", "midspan_token", "midspan_token=", "=;=;\x01", "a=b"])
def test_a_wrong_cookie_is_no_token(guarded, cookie: str) -> None:
    assert guarded.get("/v1/operations", headers={"Cookie": cookie}).status_code == 401


# --- wrong tokens -------------------------------------------------------------------------------


def test_an_address_with_too_many_wrong_tokens_has_to_wait(guarded) -> None:
    seen = [guarded.get("/v1/operations", headers=bearer("wrong")).status_code for _ in range(MAX_FAILURES)]
    assert set(seen) == {401}
    refused = guarded.get("/v1/operations", headers=bearer("plain"))
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:midspan:problem:too-many-failures")
    assert 0 < int(refused.headers["retry-after"]) <= FAILURE_SECONDS + 1
    assert guarded.get("/healthz").status_code == 200


def test_requests_without_a_token_are_no_guesses(guarded) -> None:
    for _ in range(MAX_FAILURES + 1):
        assert guarded.get("/v1/operations").status_code == 401
    assert guarded.get("/v1/operations", headers=bearer("plain")).status_code == 200


def test_wrong_tokens_are_forgotten_after_a_minute_and_per_address(clock) -> None:
    failures = Failures(clock)
    for _ in range(MAX_FAILURES):
        failures.note("one")
    assert (failures.wait("one"), failures.wait("two")) == (61, 0)
    clock.advance(FAILURE_SECONDS)
    assert failures.wait("one") == 0
    failures.note("one")
    clock.advance(1)
    assert failures.wait("one") == 0


def test_the_addresses_that_are_remembered_are_bounded(clock) -> None:
    failures = Failures(clock)
    for number in range(5000):
        failures.note(f"address-{number}")
    assert len(failures._seen) == 1024


# --- what is logged -----------------------------------------------------------------------------


def test_a_token_or_ticket_in_a_query_is_in_no_access_log(registry, caplog) -> None:
    mounted = create_app(registry, metrics=lambda _: (b"", "text/plain"), token=TOKENS)
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Mount("/m", mounted)]), port=0, log_config=None))
    with caplog.at_level(logging.INFO, "uvicorn.access"), running(server) as url:
        for query in ("token=looker", "ticket=not-one", "q=x&token=guess-of-a-token"):
            httpx2.head(f"{url}/m/v1/stream?{query}", timeout=20)
    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert len(lines) == 3
    assert not [line for line in lines if "looker" in line or "not-one" in line or "guess" in line]
    assert "q=x" in lines[2]


class running:  # noqa: N801 - reads as a word
    """`with running(server) as url`: a uvicorn server of a host application, in a thread."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.thread = threading.Thread(target=server.run)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.01)
            assert self.thread.is_alive()
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: Any) -> None:
        self.server.should_exit = True
        self.thread.join(20)
