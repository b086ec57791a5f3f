"""Bearer tokens with scopes. Only their SHA-256 is kept, and compared in constant time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

SCOPES = ("read", "write", "admin")
"""Each includes those before it."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The accepted tokens: SHA-256 digest → scope. An empty one is falsy: nobody is asked for a token."""

    scopes: Mapping[bytes, str] = field(default_factory=dict[bytes, str], repr=False)

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Tokens separated by commas or white space, each `TOKEN` (scope admin) or `SCOPE:TOKEN`.

        Raises ValueError for a scope without a token.
        """
        scopes: dict[bytes, str] = {}
        for entry in filter(None, re.split(r"[\s,]+", text)):
            scope, colon, secret = entry.partition(":")
            if not colon or scope not in SCOPES:
                scope, secret = "admin", entry
            if not secret:
                raise ValueError(f"a token is missing after '{scope}:'")
            scopes[_digest(secret)] = scope
        return cls(scopes)

    def __bool__(self) -> bool:
        return bool(self.scopes)

    def scope_of(self, secret: str) -> str | None:
        """The scope of a token, or None for an unknown one. Every known token is compared, whichever matches."""
        digest = _digest(secret)
        found = [scope for known, scope in self.scopes.items() if compare_digest(known, digest)]
        return found[0] if found else None


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
