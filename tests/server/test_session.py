from __future__ import annotations

import pytest


@pytest.fixture
def guarded(serving, registry):
    with serving(registry, token="read:reader") as client:
        yield client


def test_a_token_is_exchanged_for_a_cookie_that_no_script_can_read(guarded) -> None:
    answer = guarded.post("/v1/session", headers={"Authorization": "Bearer reader"})
    assert answer.status_code == 204
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"midspan_token=reader", "httponly", "samesite=strict", "path=/", "max-age=43200"} <= attributes
    assert guarded.get("/v1/operations").status_code == 200


def test_ending_the_session_takes_the_cookie_away(guarded) -> None:
    guarded.post("/v1/session", headers={"Authorization": "Bearer reader"})
    assert guarded.delete("/v1/session", headers={"X-Midspan-CSRF": "1"}).status_code == 204
    assert guarded.get("/v1/operations").status_code == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_a_session_needs_a_known_token(guarded, headers: dict[str, str]) -> None:
    answer = guarded.post("/v1/session", headers=headers)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_where_no_token_is_in_use_there_is_none_to_keep(client) -> None:
    assert client.post("/v1/session").status_code == 401
