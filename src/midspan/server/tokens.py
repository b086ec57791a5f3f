"""Bearer tokens, and what each gives access to. Only their SHA-256 is kept, and compared in constant time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from midspan.core.operation import Operation

SCOPES = ("read", "write", "admin")
"""Each includes those before it."""

_ENTRY = re.compile(rf"(?:(?P<scope>{'|'.join(SCOPES)})(?:@(?P<principal>[^:]*))?:)?(?P<secret>.*)", re.DOTALL)
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do. With a `principal`, and a scope below admin, it sees that principal's operations only."""

    scope: str = "admin"
    principal: str | None = None

    def may(self, needed: str) -> bool:
        """Whether the scope includes `needed`."""
        return SCOPES.index(self.scope) >= SCOPES.index(needed)

    @property
    def sees_all(self) -> bool:
        """Whether operations of every principal are seen."""
        return self.principal is None or self.scope == "admin"

    def may_see(self, operation: Operation) -> bool:
        """Whether this operation is seen; one that is not, does not exist for this request."""
        if self.sees_all:
            return True
        return operation.owner is not None and operation.owner.principal == self.principal


@dataclass(frozen=True, slots=True)
class Tokens:
    """The accepted tokens: SHA-256 digest → access. An empty one is falsy: nobody is asked for a token."""

    known: Mapping[bytes, Access] = field(default_factory=dict[bytes, Access], repr=False)

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Tokens separated by commas or white space: `TOKEN` (scope admin), `SCOPE:TOKEN` or `SCOPE@PRINCIPAL:TOKEN`.

        Raises ValueError for a scope without a token, and for a principal that is no short word.
        """
        found = [_ENTRY.fullmatch(entry) for entry in filter(None, re.split(r"[\s,]+", text))]
        return cls(dict(_known(entry) for entry in found if entry is not None))

    def __bool__(self) -> bool:
        return bool(self.known)

    @property
    def have_principals(self) -> bool:
        """Whether any of them is for the operations of one principal."""
        return any(access.principal is not None for access in self.known.values())

    def access_of(self, secret: str) -> Access | None:
        """What a token gives access to, or None for an unknown one. Every known token is compared."""
        digest = digest_of(secret)
        found = [access for known, access in self.known.items() if compare_digest(known, digest)]
        return found[0] if found else None


def _known(entry: re.Match[str]) -> tuple[bytes, Access]:
    scope, principal = entry["scope"] or "admin", entry["principal"]
    if not entry["secret"]:
        raise ValueError(f"a token is missing after '{entry[0]}'")
    if principal is not None and not _PRINCIPAL.fullmatch(principal):
        raise ValueError(f"the principal after '{scope}@' is not 1 to 128 letters, digits, '.', '_', '@', '+' or '-'")
    return digest_of(entry["secret"]), Access(scope, principal)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
