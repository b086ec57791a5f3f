"""How operations read from other tools' spans and operations of our own find each other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from midspan.core.state import State

if TYPE_CHECKING:
    from midspan.tracking.tracker import ProgressTracker

REMEMBERED: Final = 10_000


class OngoingCall(Protocol):
    """A call of an instrumented SDK method."""

    @property
    def tracker(self) -> ProgressTracker:
        """What writes the call's operation."""
        ...


current_call: ContextVar[OngoingCall | None] = ContextVar("midspan_current_call", default=None)
"""The instrumented call whose SDK method runs in this context."""

last_call: ContextVar[float | None] = ContextVar("midspan_last_call", default=None)
"""Start (Unix seconds) of the newest call that started in this context, ended or not."""


class ForeignSpans(Protocol):
    """What knows the operations of other tools' spans; see `ProgressRegistry.foreign`. Its methods raise nothing."""

    @property
    def open(self) -> Mapping[int, object]:
        """The spans that are open, by their ids. Mostly there are none, and then the rest need not be asked."""
        ...

    def take(self, operation_type: str) -> State | None:
        """The operation of the current span, if that is of a call like this and nobody's yet: the caller writes it."""
        ...

    def around(self, tracker: ProgressTracker | None) -> str | None:
        """The id of the innermost operation around: `tracker` (the current one), or one of another tool's span."""
        ...


class SpanClaims:
    """Span ids that somebody has answered for, the newest 10,000: nobody makes a second operation of one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._order: deque[int] = deque()
        self._claimed: set[int] = set()

    def claim(self, span_id: int) -> bool:
        """True for the first who asks."""
        with self._lock:
            if span_id in self._claimed:
                return False
            self._claimed.add(span_id)
            self._order.append(span_id)
            if len(self._order) > REMEMBERED:
                self._claimed.discard(self._order.popleft())
            return True

    def forked(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = threading.RLock()
