from __future__ import annotations

import hmac

import pytest

from midspan.server import tokens

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


def test_tokens_are_compared_in_constant_time_and_only_as_digests(monkeypatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    known = tokens.Tokens.parse("first second third")
    monkeypatch.setattr(tokens, "compare_digest", compare)
    assert known.scope_of("first") == "admin"
    assert len(compared) == 3
    assert {32} == {len(digest) for pair in compared for digest in pair}


def test_tokens_are_not_in_their_repr() -> None:
    assert repr(tokens.Tokens.parse("secret")) == "Tokens()"


@pytest.mark.parametrize("text", ["", "  ", ",\n,"])
def test_a_text_without_tokens_asks_nobody(text: str) -> None:
    assert not tokens.Tokens.parse(text)


def test_a_token_may_contain_a_colon() -> None:
    assert tokens.Tokens.parse("a:b").scope_of("a:b") == "admin"


def test_a_scope_without_its_token_is_an_error() -> None:
    with pytest.raises(ValueError, match="after 'write:'"):
        tokens.Tokens.parse("abc write:")
