from __future__ import annotations

import hmac

import msgspec
import pytest

from midspan.core.operation import Operation, Owner, Status
from midspan.server import tokens
from midspan.server.tokens import Access, Tokens


def owned_by(principal: str | None) -> Operation:
    return Operation(
        operation_id="a",
        operation_type="general",
        name="a",
        status=Status.RUNNING,
        created_at=0.0,
        updated_at=0.0,
        progressed_at=0.0,
        owner=Owner(pid=1, principal=principal),
    )


def test_tokens_are_compared_in_constant_time_and_only_as_digests(monkeypatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    known = Tokens.parse("first second third")
    monkeypatch.setattr(tokens, "compare_digest", compare)
    assert known.access_of("first") == Access("admin")
    assert len(compared) == 3
    assert {32} == {len(digest) for pair in compared for digest in pair}


def test_tokens_are_not_in_their_repr() -> None:
    assert repr(Tokens.parse("secret")) == "Tokens()"


@pytest.mark.parametrize("text", ["", "  ", ",\n,"])
def test_a_text_without_tokens_asks_nobody(text: str) -> None:
    assert not Tokens.parse(text)


@pytest.mark.parametrize(
    ("entry", "secret", "access"),
    [
        ("abc", "abc", Access("admin")),
        ("read:abc", "abc", Access("read")),
        ("write@ann:abc", "abc", Access("write", "ann")),
        ("admin@ann.b@c-d+e:a:b", "a:b", Access("admin", "ann.b@c-d+e")),
        ("a:b", "a:b", Access("admin")),
        ("reader:b", "reader:b", Access("admin")),
        ("a@read:b", "a@read:b", Access("admin")),
    ],
)
def test_a_token_has_a_scope_and_may_have_a_principal(entry: str, secret: str, access: Access) -> None:
    known = Tokens.parse(f"other {entry}")
    assert known.access_of(secret) == access
    assert known.have_principals is (access.principal is not None)


@pytest.mark.parametrize("entry", ["write:", "read@ann:", "read@:abc", "read@a/b:abc", "read@-a:abc"])
def test_an_entry_without_a_token_or_with_no_principal_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="after") as wrong:
        Tokens.parse(f"abc {entry}")
    assert "abc" not in str(wrong.value)


@pytest.mark.parametrize(
    ("access", "seen"),
    [
        (Access("read"), ["ann", "bob", None]),
        (Access("read", "ann"), ["ann"]),
        (Access("write", "ann"), ["ann"]),
        (Access("admin", "ann"), ["ann", "bob", None]),
    ],
)
def test_a_principal_sees_its_own_and_an_administrator_everything(access: Access, seen: list[str | None]) -> None:
    assert [principal for principal in ("ann", "bob", None) if access.may_see(owned_by(principal))] == seen


def test_an_operation_that_nobody_owns_is_seen_by_no_principal() -> None:
    nobodys = msgspec.structs.replace(owned_by(None), owner=None)
    assert Access().may_see(nobodys)
    assert not Access("read", "ann").may_see(nobodys)
