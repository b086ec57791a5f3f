"""Ended operations, kept as bytes: bounded in age, in number and in size; the oldest go first, and are counted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from midspan.core.operation import Operation
from midspan.core.wire import Head, pack, unpack, unpack_head


class Limits(Struct, frozen=True):
    """How long (seconds), how many and how large (bytes) ended operations are kept, and how many may run."""

    seconds: float = 3600.0
    operations: int = 10_000
    bytes: int = 32 * 1024 * 1024
    running: int = 100_000


class Retention:
    """The ended operations of one registry, in the order in which they ended."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.evicted = 0
        self.evicted_until = 0.0  # Unix seconds: everything that ended later is still there, or was removed by request
        self.size = 0
        self._lock = threading.RLock()
        # Id → (ended at, created at, the operation's bytes).
        self._kept: OrderedDict[str, tuple[float, float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, facts: Mapping[str, Any], now: float) -> None:
        """Keep an ended operation, of which these are the fields, making room for it."""
        packed, operation_id = pack(facts), facts["operation_id"]
        with self._lock:
            if operation_id in self._kept:
                self._remove(operation_id)
            self._kept[operation_id] = (now, facts["created_at"], packed)
            self.size += len(packed)
            while self._kept and (len(self._kept) > self.limits.operations or self.size > self.limits.bytes):
                self._evict_oldest()

    def _evict_oldest(self) -> None:
        _, (self.evicted_until, _, packed) = self._kept.popitem(last=False)
        self.size -= len(packed)
        self.evicted += 1

    def _remove(self, operation_id: str) -> bool:
        entry = self._kept.pop(operation_id, None)
        if entry is not None:
            self.size -= len(entry[2])
        return entry is not None

    def get(self, operation_id: str) -> Operation | None:
        """The ended operation, or None."""
        entry = self._kept.get(operation_id)
        return None if entry is None else unpack(entry[2])

    def all(self) -> list[Operation]:
        """Every ended operation, oldest ending first."""
        with self._lock:
            packed = [entry[2] for entry in self._kept.values()]
        return [unpack(row) for row in packed]

    def head(self, operation_id: str) -> Head | None:
        """What the ended operation is filtered by, or None."""
        entry = self._kept.get(operation_id)
        return None if entry is None else unpack_head(entry[2])

    def positions(self) -> list[tuple[float, str]]:
        """(created_at, operation_id) of every ended operation, oldest ending first."""
        with self._lock:
            return [(created, operation_id) for operation_id, (_, created, _) in self._kept.items()]

    def ended_before(self, at: float, statuses: frozenset[str] | None = None) -> list[str]:
        """The ids of those that ended at `at` (Unix seconds) or before, oldest first, with one of the statuses."""
        with self._lock:
            entries = [(operation_id, packed) for operation_id, (ended, _, packed) in self._kept.items() if ended <= at]
        return [each for each, packed in entries if statuses is None or unpack_head(packed).status in statuses]

    def since(self, at: float) -> list[bytes]:
        """The bytes of those that ended after `at` (Unix seconds), oldest first."""
        with self._lock:
            return [packed for ended, _, packed in self._kept.values() if ended > at]

    def remove(self, operation_id: str) -> bool:
        """Forget one; False when it is not kept."""
        if operation_id not in self._kept:
            return False
        with self._lock:
            return self._remove(operation_id)

    def expire(self, now: float) -> int:
        """Forget what ended longer ago than the limit; returns how many."""
        before = self.evicted
        with self._lock:
            while self._kept and now - next(iter(self._kept.values()))[0] > self.limits.seconds:
                self._evict_oldest()
        return self.evicted - before

    def remove_all(self, operation_ids: Iterable[str]) -> int:
        """Forget several; returns how many were there."""
        with self._lock:
            return sum([self._remove(operation_id) for operation_id in operation_ids])
