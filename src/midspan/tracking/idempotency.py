"""Idempotency keys: the same call, sent twice, is one call (the Idempotency-Key header of the IETF's HTTPAPI draft)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256

import msgspec

MAX_KEYS = 1_000

Key = tuple[str | None, str]
"""(principal, key): keys of one principal are nothing to another."""


class IdempotencyError(ValueError):
    """The idempotency key belongs to another call."""


class Keys:
    """Which call each key stands for, and the operation that came of it; at most 1,000, the oldest make room."""

    def __init__(self) -> None:
        self.dropped = 0
        self.forked()

    def forked(self) -> None:
        """The operations are the parent's, and a thread that is not there may have held the lock."""
        self._lock = threading.RLock()
        self._known: dict[Key, tuple[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def claim(self, key: Key, call: object, operation_id: str, reserve: Callable[[], object]) -> str:
        """The operation that the key stands for: an earlier one, or else, after `reserve`, `operation_id` from now on.

        Raises IdempotencyError where it stands for another `call` (JSON values), and what `reserve` raises.
        """
        wanted = sha256(msgspec.json.encode(call, order="deterministic")).digest()
        with self._lock:
            known = self._known.get(key)
            if known is None:
                reserve()
                known = self._known[key] = operation_id, wanted
                self._drop_oldest()
        if known[1] != wanted:
            raise IdempotencyError(f"idempotency key {key[1]!r} was used for another task or other arguments")
        return known[0]

    def _drop_oldest(self) -> None:
        if len(self._known) > MAX_KEYS:
            del self._known[next(iter(self._known))]
            self.dropped += 1
