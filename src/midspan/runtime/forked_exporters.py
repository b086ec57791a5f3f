"""OpenTelemetry's exporters in a forked child: what the SDK leaves there as the parent's threads had it.

A lock that a thread of the parent held at the fork is held for ever: a reader of metrics that was exporting never
exports again, and the exit waits for it. A connection that was open is the parent's, and two that write to it break
each other's requests. Times that the parent has recorded would be counted again. All three are found by a walk from
the providers, through objects of OpenTelemetry alone: the SDK has no interface for it, and its attributes change.
"""

from __future__ import annotations

import copy
import sys
import threading
from typing import Any, Final

from midspan.core import failures, names
from midspan.runtime.exporters import SIGNALS, global_provider

AT_MOST: Final = 100_000
"""Objects that are looked at, which is a tenth of a second: a provider of 300 label sets has 20,000."""

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
_MATCHES: Final = "_instrument_view_instrument_matches"

_parents: list[object] = []
"""Adapters of connections that are the parent's: to let go of them takes a lock that a thread of it may have held."""


def renew_exporters(*given: object) -> None:
    """Make the global providers, and those `given`, work in this child as if it had made them. Raises nothing."""
    try:
        _Walk().through(*given, *map(global_provider, SIGNALS.values()))
    except Exception:
        failures.report("fork")


class _Walk:
    """From object to object, each once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        # Two that share a lock go on sharing one.
        self._fresh: dict[int, Any] = {}

    def through(self, *roots: object) -> None:
        todo = list(roots)
        while todo and len(self._seen) < AT_MOST:
            thing = todo.pop()
            if id(thing) not in self._seen:
                self._seen.add(id(thing))
                todo += self._visit(thing)

    def _visit(self, thing: Any) -> list[Any]:
        if isinstance(thing, dict):
            return [*thing.values()]  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
        if isinstance(thing, (list, tuple, set, frozenset)):
            return [*thing]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        if not type(thing).__module__.startswith("opentelemetry."):
            return []
        return self._renew(getattr(thing, "__dict__", {}))

    def _renew(self, attributes: dict[str, Any]) -> list[Any]:
        _forget_ours(attributes.get(_MATCHES, {}))
        for name, value in attributes.items():
            if isinstance(value, (_LOCK, _RLOCK)):
                attributes[name] = self._free(value)
            elif _is_session(value):
                _connect_anew(value)
        return [*attributes.values()]

    def _free(self, lock: Any) -> Any:
        # Not all of them: a thread that the SDK has started in this child may use one by now.
        if lock.acquire(blocking=False):
            lock.release()
            return lock
        return self._fresh.setdefault(id(lock), threading.Lock() if isinstance(lock, _LOCK) else threading.RLock())


def _forget_ours(matches: dict[Any, Any]) -> None:
    """Take out what the parent has recorded with our instruments, from where a reader keeps it by instrument."""
    for instrument in list(matches):
        if instrument.instrumentation_scope.name == names.SCOPE:
            del matches[instrument]


def _is_session(value: object) -> bool:
    requests: Any = sys.modules.get("requests")
    return requests is not None and isinstance(value, requests.Session)


def _connect_anew(session: Any) -> None:
    for prefix, adapter in session.adapters.items():
        _parents.append(adapter)
        # A copy has the settings and, as one from a pickle, no connections.
        session.adapters[prefix] = copy.copy(adapter)
