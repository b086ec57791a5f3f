"""The security list, item by item: each test is named by the number of the item that it shows."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pytest
from opentelemetry import trace
from starlette.routing import Mount, Route

from midspan.core import failures
from midspan.runtime.wiring import check
from midspan.server.app import create_app
from midspan.server.auth import MAX_FAILURES
from midspan.server.embedded import EmbeddedServer
from midspan.server.limits import MAX_BODY_BYTES
from midspan.server.page_routes import page_routes
from midspan.settings import Address, Settings, SettingsError
from midspan.telemetry.prometheus import MetricsPage
from tests.server.live import events

FOREIGN = {"Origin": "https://evil.example"}
CHANGES = ("POST", "PATCH", "PUT", "DELETE")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def app(registry):
    return create_app(registry, metrics=lambda _: (b"", "text/plain"), token="read:looker")


def paths(routes: Any, prefix: str = "") -> set[str]:
    """Every path that is routed, parameters filled in."""
    found: set[str] = set()
    for route in routes:
        path = prefix + route.path
        if isinstance(route, Mount):
            found |= paths(route.routes, path) or {path + "/x"}
        elif isinstance(route, Route):
            found.add("/".join("x" if part.startswith("{") else part for part in path.split("/")))
    return found


@pytest.fixture
def tenants(registry):
    """An operation of ann, one of bob, one of nobody, each both running and ended."""
    for owner in ("ann", "bob", None):
        for state in ("runs", "ended"):
            tracker = registry.create_tracker(f"{owner}-{state}", name=f"{owner}-secret")
            tracker.state.principal = owner
            tracker.enter_stage("one", f"{owner}-secret")
            if state == "ended":
                tracker.complete(result=f"{owner}-secret")


@pytest.fixture
def ann(serving, registry, tenants):
    with serving(registry, token="write@ann:ann read@bob:bob admin") as client:
        client.headers.update(bearer("ann"))
        yield client


# --- 1: where it listens ------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "box.example"])
def test_1_without_a_token_nothing_beyond_loopback_is_bound(host: str) -> None:
    with pytest.raises(ValueError, match="without a token"):
        EmbeddedServer(lambda: create_app, host)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match="without a token"):
        check(Settings(server=Address(host, 9465)))


def test_1_loopback_is_the_default(app) -> None:
    assert EmbeddedServer(lambda: app).address.host == "127.0.0.1"


# --- 2: hosts -----------------------------------------------------------------------------------


def test_2_every_path_is_answered_to_known_hosts_only(serving, registry, app) -> None:
    with serving(registry, token="read:looker") as client:
        asked = sorted(paths(app.routes) | {"/", "/v1/ws", "/none"})
        seen = {
            path: client.get(path, headers={"Host": "evil.example", **bearer("looker")}).status_code for path in asked
        }
    assert len(seen) > 20
    assert set(seen.values()) == {421}


# --- 3: origins ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CHANGES)
def test_3_no_path_takes_a_change_from_a_foreign_origin(client, app, method: str) -> None:
    seen = {path: client.request(method, path, headers=FOREIGN).status_code for path in paths(app.routes)}
    assert set(seen.values()) == {403}


def test_3_no_other_origin_may_read_an_answer(client, app) -> None:
    for path in paths(app.routes) - {"/v1/stream", "/mcp"}:
        for method in ("GET", "OPTIONS"):
            answer = client.request(method, path, headers=FOREIGN)
            assert not [name for name in answer.headers if name.startswith("access-control")], path


# --- 4: requests that a foreign page could make -------------------------------------------------


def test_4_a_form_of_any_page_changes_nothing(client, registry) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = client.post("/v1/operations", content='{"name": "x"}', headers={"Content-Type": kind})
        assert answer.status_code == 415
    assert registry.operations() == []


def test_4_a_cookie_changes_nothing_without_a_header_that_a_foreign_page_cannot_send(serving, registry) -> None:
    with serving(registry, token="secret") as client:
        cookie = {"Cookie": "midspan_token=secret"}
        assert client.post("/v1/operations", json={"name": "x"}, headers=cookie).status_code == 403
        sent = {**cookie, "X-Midspan-CSRF": "1"}
        assert client.post("/v1/operations", json={"name": "x"}, headers=sent).status_code == 201


# --- 5: tokens ----------------------------------------------------------------------------------


def test_5_every_path_but_the_probes_and_the_files_of_the_page_needs_a_token(serving, registry, app) -> None:
    with serving(registry, token="read:looker") as client:
        seen = {path: client.get(path).status_code for path in paths(app.routes)}
        changing = {client.request(method, path).status_code for path in seen for method in CHANGES}
    page = {route.path for route in page_routes()}
    assert {path for path, status in seen.items() if status != 401} == {"/healthz", "/readyz"} | page
    assert changing - {405} == {401}


def test_5_the_scope_read_changes_nothing(serving, registry, app) -> None:
    harmless = {"/v1/tickets", "/v1/session", "/mcp", "/mcp/", "/healthz", "/readyz"}
    harmless |= {route.path for route in page_routes()}
    with serving(registry, token="read:looker") as client:
        seen = {
            client.request(method, path, headers=bearer("looker")).status_code
            for path in paths(app.routes) - harmless
            for method in CHANGES
        }
    assert seen == {403}


def test_5_a_token_is_in_no_log_no_answer_and_no_error(serving, registry, caplog) -> None:
    with serving(registry, token="read:sesame-open") as client, caplog.at_level(logging.DEBUG):
        for headers in (bearer("sesame-open"), bearer("sesame-shut"), {"Cookie": "midspan_token=sesame-x"}):
            for path in ("/v1/operations", "/v1/none", "/v1/operations?limit=x"):
                assert "sesame" not in client.get(path, headers=headers).text
        assert client.get("/v1/operations/x/stream?token=sesame-shut").status_code == 401
        assert "sesame" not in client.get("/v1/operations/x/stream?token=sesame-open").text
    theirs = ("httpx", "httpcore")  # the client's own
    assert not [each for each in caplog.records if "sesame" in each.getMessage() and not each.name.startswith(theirs)]
    with pytest.raises(SettingsError) as wrong:
        check(Settings(token="read:sesame write:"))
    assert "sesame" not in str(wrong.value)


def test_5_guessing_is_slowed_down(serving, registry) -> None:
    with serving(registry, token="secret") as client:
        seen = [client.get("/v1/operations", headers=bearer(f"guess-{n}")).status_code for n in range(MAX_FAILURES + 5)]
    assert seen == [401] * MAX_FAILURES + [429] * 5


# --- 6: tenants ---------------------------------------------------------------------------------

READS = (
    "/v1/operations/{id}",
    "/v1/operations/{id}/events",
    "/v1/operations/{id}/result",
    "/v1/operations/{id}/stream",
    "/v1/tree/{id}",
    "/progress/{id}",
    "/progress/{id}/stream",
    "/progress/operations/{id}",
    "/api/v1/streaming-chat/sse/{id}",
    "/api/v1/streaming-chat/progress/{id}",
    "/api/v1/async-chat/sse/{id}",
    "/api/monitoring/sessions/{id}",
)


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("stranger", ["bob-ended", "None-ended", "bob-runs"])
def test_6_what_belongs_to_somebody_else_does_not_exist(ann, path: str, stranger: str) -> None:
    foreign, unknown = (ann.get(path.replace("{id}", each)) for each in (stranger, "nobody-has-it"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text.replace(stranger, "") == unknown.text.replace("nobody-has-it", "")


@pytest.mark.parametrize("stranger", ["bob-ended", "bob-runs"])
def test_6_what_belongs_to_somebody_else_cannot_be_changed(ann, registry, stranger: str) -> None:
    one = f"/v1/operations/{stranger}"
    seen = [
        ann.delete(one),
        ann.delete(f"{one}?force=1"),
        ann.post(f"{one}/cancel"),
        ann.patch(one, json={"message": "x"}),
    ]
    assert [answer.status_code for answer in seen] == [404] * 4
    ann.post("/v1/cleanup", json={})
    assert registry.get(stranger) is not None
    assert registry.get("ann-ended") is None


LISTS = (
    "/v1/operations",
    "/v1/export?format=ndjson",
    "/v1/statistics",
    "/progress/operations",
    "/progress/active",
    "/progress/summary",
    "/api/monitoring/statistics",
    "/api/monitoring/sessions/active",
    "/api/monitoring/sessions/recent",
)


@pytest.mark.parametrize("path", LISTS)
def test_6_no_list_and_no_figure_tells_of_somebody_elses(ann, path: str) -> None:
    mine, everything = (ann.get(path, headers=bearer(token)) for token in ("ann", "admin"))
    assert (mine.status_code, everything.status_code) == (200, 200)
    assert "bob-" not in mine.text and "None-" not in mine.text
    assert mine.text != everything.text


def test_6_no_stream_tells_of_somebody_elses(ann, registry) -> None:
    with events(ann, "/v1/stream") as stream:
        assert [row["operation_id"] for row in stream.next().json["operations"]] == ["ann-runs"]
        registry.get_tracker("bob-runs").complete()
        registry.get_tracker("ann-runs").complete()
        assert stream.next().json["operation_id"] == "ann-runs"


def test_6_metrics_of_all_tenants_are_for_those_who_see_all(ann) -> None:
    assert ann.get("/metrics").status_code == 403
    assert ann.get("/metrics", headers=bearer("admin")).status_code == 200


def test_6_an_id_cannot_be_guessed(registry) -> None:
    made = {registry.create_tracker().operation_id for _ in range(100)}
    assert len(made) == 100
    assert min(len(each) for each in made) >= 26 or all(uuid.UUID(each).version == 4 for each in made)


# --- 7: limits ----------------------------------------------------------------------------------


def test_7_what_comes_in_is_bounded(client) -> None:
    json = {"Content-Type": "application/json"}
    assert client.post("/v1/operations", content=b" " * (MAX_BODY_BYTES + 1), headers=json).status_code == 413
    assert client.post("/v1/operations", content=b"[" * 30, headers=json).status_code == 400
    assert client.post("/v1/operations", json={"operation_id": "x" * 129}).status_code == 422
    assert client.get("/v1/operations?q=" + "x" * 9000).status_code == 414


def test_7_what_the_application_reports_is_bounded(registry) -> None:
    tracker = registry.create_tracker(name="n" * 1000)
    tracker.enter_stage("s" * 1000, "m" * 10_000)
    tracker.update(1, **{f"key-{n}": "v" * 1000 for n in range(100)})
    operation = tracker.get_progress_details()
    assert (len(operation.name), len(operation.stage or ""), len(operation.message or "")) == (128, 64, 512)
    assert (len(operation.metadata or {}), max(map(len, (operation.metadata or {}).values()))) == (32, 256)


# --- 8: text that would be something else -------------------------------------------------------

FORGING = "a\r\nb\n\ndata: x\x00\x1b[31m\x85\u2028\u2029\u202e\u2066\ud800"


def test_8_no_text_from_outside_can_forge_a_line(client, registry, eventually) -> None:
    tracker = registry.create_tracker("a", name=FORGING)
    tracker.enter_stage(FORGING, FORGING)
    tracker.update(1, FORGING, note=FORGING)
    tracker.fail(ValueError(FORGING))
    text = client.get("/v1/operations/a").content.decode()
    assert not [each for each in FORGING if not each.isprintable() and each in text]
    with events(client, "/v1/operations/a/stream") as stream:
        assert [event.name for event in stream.rest()] == ["snapshot", "end"]


# --- 9: pages -----------------------------------------------------------------------------------


def test_9_no_answer_is_taken_for_another_type_and_none_is_kept(client, app) -> None:
    for path in sorted(paths(app.routes) - {"/v1/stream", "/mcp"}):
        answer = client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "no-store" in answer.headers["cache-control"], path


def test_9_a_problem_shows_what_was_asked_as_json_only(client) -> None:
    answer = client.get("/v1/operations/<script>alert(1)</script>?<script>")
    assert answer.headers["content-type"] == "application/problem+json"


# --- 10: cardinality ----------------------------------------------------------------------------


def test_10_labels_from_outside_cannot_grow_without_end(registry) -> None:
    for number in range(400):
        registry.create_tracker(f"op-{number}", f"type-{number}", name=f"name-{number}").complete()
    body, _ = MetricsPage(registry)("")
    sets = {
        line.split("{")[1] for line in body.decode().splitlines() if line.startswith("midspan_operation_started_total{")
    }
    assert len(sets) <= 301
    assert b"op-399" not in body


# --- 11: content and secrets --------------------------------------------------------------------


def test_11_a_secret_in_a_message_is_shown_nowhere(client, registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.enter_stage("one", "using sk-proj-abcdefghijklmnop")
    tracker.update(1, "POST https://ann:pa55@host with Bearer abcdefghijk")
    tracker.fail(ValueError("refused: sk-ant-abcdefghijklmnop"))
    text = client.get("/v1/operations/a").text + client.get("/v1/export?format=csv").text
    assert not [secret for secret in ("abcdefgh", "pa55") if secret in text]


# --- 12: our own traffic ------------------------------------------------------------------------


def test_12_our_own_requests_make_no_spans(served, registry, client) -> None:
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    seen: list[bool] = []
    switch, _ = served
    inner = switch.app

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.append(is_instrumentation_enabled() or trace.get_current_span().is_recording())
        await inner(scope, receive, send)

    switch.app = look
    client.get("/v1/operations")
    assert seen == [False]


# --- 13: errors ---------------------------------------------------------------------------------


def test_13_an_error_is_told_by_its_type_and_first_line(client, registry) -> None:
    try:
        raise ValueError("first line\nsecond line with /etc/secret")
    except ValueError as error:
        registry.create_tracker("a").fail(error)
    answer = client.get("/v1/operations/a")
    assert answer.json()["error"] == {"type": "ValueError", "message": "first line"}
    assert not [word for word in ("second line", "Traceback", __file__) if word in answer.text]


def test_13_an_error_of_ours_tells_nothing_of_itself(serving, registry, monkeypatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(registry, "get", lambda _: 1 / 0)
    with serving(registry) as client:
        answer = client.get("/v1/operations/a")
    assert answer.status_code == 500
    assert not [word for word in ("division", "ZeroDivision", "Traceback", ".py") if word in answer.text]
