"""How operations end: once, then counted and stored in batches, apart from the calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from midspan.core import failures, transitions
from midspan.core.operation import ErrorInfo, Owner, Status
from midspan.core.retention import Limits, Retention
from midspan.core.snapshot import facts
from midspan.core.state import State
from midspan.core.statistics import Statistics
from midspan.core.telling import Telling

MAX_UNSETTLED = 128
SETTLED_AT_ONCE = 32
"""Of those, when there are too many: fewer would take longer each, and more would keep the one call waiting."""
SETTLED_WITHIN = 1.0


class Endings(Telling):
    """What runs, what has ended and is not counted yet, and what is kept of the rest."""

    def __init__(self, clock: Callable[[], float], limits: Limits, owner: Owner | None) -> None:
        super().__init__(clock)
        self.owner = owner
        self._statistics = Statistics()
        self._retention = Retention(limits)
        self._settling = threading.RLock()  # a failure is logged inside, and a log handler may read
        self._is_settling = False
        self._running: dict[str, State] = {}
        self._ended: dict[str, State] = {}
        self._by_span: dict[str, str] = {}
        # Filled inside the garbage collector, where nothing else may be done (design section 2, rule 9).
        self._dropped: deque[tuple[State, Status, str]] = deque()

    def end(
        self,
        state: State,
        status: Status,
        reason: str | None = None,
        message: str | None = None,
        error: ErrorInfo | None = None,
        result: object = None,
        at: float | None = None,
    ) -> bool:
        """End an operation, once: False when it had ended before (that is counted, nothing else)."""
        now = self.clock() if at is None else at
        with state.lock:
            change = transitions.end(state, now, status, reason, message, error, result)
        if change == transitions.NONE:
            return False
        self._tell(self._audience.end, state)
        with self._lock:
            self._running.pop(state.operation_id, None)
            self._ended[state.operation_id] = state
            if state.span_id is not None:
                self._by_span.pop(state.span_id, None)
        if state.parent_id is not None:
            self._end_child(state, state.parent_id)
        if self._subscriptions:
            self._offer(state)
        if len(self._ended) >= MAX_UNSETTLED:
            self.settle(SETTLED_AT_ONCE)
        return True

    def _end_child(self, state: State, parent_id: str) -> None:
        parent = self._running.get(parent_id)
        if parent is not None:
            with parent.lock:
                if parent.children and parent.children.pop(state.operation_id, None):
                    parent.children_done += state.weight
                    parent.progressed_at = state.ended_at or parent.progressed_at
                    parent.sequence += 1

    def settle(self, most: int | None = None) -> None:
        """Count and store what has ended: by the pulse, or by whoever reads, so that the ending call does not wait.

        `most`: no more than so many, the oldest, because it is an ending call that settles. Another thread that settles
        is waited for a second: where a signal handler waits, that one may need a lock of the handler's own thread.
        """
        if not self._ended or not self._settling.acquire(timeout=SETTLED_WITHIN):
            return
        # Inside of itself, in a log handler or a signal handler: what is being counted would be counted twice.
        is_inside, self._is_settling = self._is_settling, True
        try:
            if not is_inside:
                self._settle_each(list(self._ended.values())[:most])
        finally:
            self._is_settling = is_inside
            self._settling.release()

    def _settle_each(self, states: list[State]) -> None:
        self._tell(self._audience.settle, states)
        for state in states:
            try:
                self._store(state)
            except Exception:
                failures.report("registry")
            with self._lock:
                self._ended.pop(state.operation_id, None)

    def _store(self, state: State) -> None:
        at = state.ended_at or state.updated_at
        self._statistics.end(state, at)
        # An ending that is heard of late is kept from then on, and in that order.
        self._retention.add(facts(state, at, self.owner), at if state.learned_at is None else state.learned_at)

    @property
    def statistics(self) -> Statistics:
        """The counters, with everything that has ended so far."""
        self.settle()
        return self._statistics

    @property
    def retention(self) -> Retention:
        """The ended operations that are kept."""
        self.settle()
        return self._retention

    def drop(self, state: State, status: Status, reason: str) -> None:
        """Note that an operation's handle was lost. Safe inside the garbage collector; the pulse ends it."""
        self._dropped.append((state, status, reason))

    def reap(self) -> None:
        """End what `drop` has noted."""
        while self._dropped:
            state, status, reason = self._dropped.popleft()
            try:
                self.end(state, status, reason)
            except Exception:
                failures.report("registry")
