"""The index of operations: by id, by span, by parent. It tells processors and subscriptions what changes (`telling`).

No lock is held while anything outside is called.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from weakref import WeakSet

from midspan.core import estimate, failures, transitions
from midspan.core.endings import Endings
from midspan.core.external import External
from midspan.core.known_jobs import KnownJobs
from midspan.core.operation import Operation, Owner, Status
from midspan.core.retention import Limits, Retention
from midspan.core.snapshot import snapshot
from midspan.core.state import State
from midspan.core.statistics import Statistics

DEFAULT_STALL_AFTER = 60.0
MAX_CHILDREN = 10_000
TOLD_FROM = 1.0
"""Seconds: an operation as old as that is told of, if nothing has changed since its start too."""


class AlreadyRunningError(ValueError):
    """Two running operations cannot have the same id."""


class Registry(Endings):
    """Operations of one process: running ones as live state, ended ones as bytes."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        limits: Limits | None = None,
        stall_after: Mapping[str, float] | None = None,
        owner: Owner | None = None,
    ) -> None:
        super().__init__(clock, limits or Limits(), owner)
        self.stall_after = dict(stall_after or {})
        self.external = External()
        self.known_jobs = KnownJobs()
        self.principal_of: Callable[[], str | None] | None = None
        _registries.add(self)

    def configure(
        self,
        *,
        limits: Limits,
        stall_after: Mapping[str, float],
        owner: Owner | None = None,
    ) -> None:
        """Settings that were read after the registry was made; they hold for operations to come."""
        self._retention.limits = limits
        self.stall_after = dict(stall_after)
        self.owner = owner or self.owner

    # --- what happens -------------------------------------------------------------------------

    def add(self, state: State) -> None:
        """Register an operation. Raises AlreadyRunningError (a ValueError) when one with this id is still running."""
        if self._dropped:
            self.reap()
        if state.operation_id in self._ended:
            self.settle()
        with self._lock:
            if state.operation_id in self._running:
                raise AlreadyRunningError(f"operation {state.operation_id!r} is already running")
            self._running[state.operation_id] = state
            crowded = len(self._running) > self._retention.limits.running
        self._retention.remove(state.operation_id)
        if state.parent_id is None:
            state.root_id = state.operation_id
        else:
            self._adopt_by_parent(state, state.parent_id)
        if self.principal_of is not None and state.principal is None:
            self._claim(state, self.principal_of)
        self._statistics.start(state)
        self._tell(self._audience.start, state)
        if self._subscriptions:
            self._offer(state)
        if crowded:
            self._give_up_oldest()

    def stall_limit(self, operation_type: str) -> float:
        """Seconds without progress after which an operation of this type counts as stalled."""
        default = self.stall_after.get("", DEFAULT_STALL_AFTER)
        return self.stall_after.get(operation_type, default)

    def _adopt_by_parent(self, state: State, parent_id: str) -> None:
        parent = self._running.get(parent_id)
        if parent is None:
            state.root_id = parent_id
            return
        if parent is state or parent.root_id == state.operation_id:
            # It would be below itself, and whoever follows parents would never come to an end.
            state.root_id, state.parent_id = state.operation_id, None
            return
        state.root_id = parent.root_id
        state.principal = state.principal or parent.principal
        with parent.lock:
            children = parent.children = {} if parent.children is None else parent.children
            if len(children) < MAX_CHILDREN:
                children[state.operation_id] = state
                parent.children_started += 1
                parent.children_weight += state.weight

    def _claim(self, state: State, principal_of: Callable[[], str | None]) -> None:
        """Whose operation this is, where somebody asks for that."""
        try:
            state.principal = principal_of()
        except Exception:
            failures.report("principal")

    def _give_up_oldest(self) -> None:
        oldest = next(iter(list(self._running.values())))
        failures.logger.warning("midspan: too many running operations; the oldest is given up as lost")
        self.end(oldest, Status.LOST, "evicted")

    def publish(self, state: State, change: int) -> None:
        """Tell everybody about a change, now. The writer calls this after it has left the state's lock."""
        if change == transitions.LOUD:
            state.published = state.sequence
            self._tell(self._audience.update, state)
        if self._subscriptions:
            self._offer(state)

    def bind_span(self, state: State, trace_id: str, span_id: str, sampled: bool = True) -> None:
        """Make an operation findable by its span (hex ids); an exemplar points to sampled ones only."""
        state.trace_id, state.span_id, state.sampled = trace_id, span_id, sampled
        with self._lock:
            if state.operation_id in self._running:
                self._by_span[span_id] = state.operation_id

    def pulse(self, now: float) -> None:
        """Publish quiet changes, notice what stalls or moves again, end what was dropped, forget what is too old."""
        self.reap()
        for state in self.running():
            try:
                with state.lock:
                    transitions.absorb(state, now)
                    # Asked here first, because a call for each of thousands of operations takes longer than the rest.
                    if state.stalled or now - state.progressed_at > state.stall_after:
                        transitions.notice(state, now)
                if state.sequence != state.published or (not state.told and now - state.created_at >= TOLD_FROM):
                    self._publish_quiet(state, now)
            except Exception:
                failures.report("pulse")
        for state in self.external.silent(now):
            self.end(state, Status.LOST, "nothing was reported for long")
        self.settle()
        self._retention.expire(now)

    def _publish_quiet(self, state: State, now: float) -> None:
        state.told = state.told or now - state.created_at >= TOLD_FROM
        is_changed = state.sequence != state.published
        if is_changed:
            state.published = state.sequence
            estimate.note_first(state, now)
        self._tell(self._audience.update, state)
        if is_changed and self._subscriptions:
            self._offer(state)

    # --- what is there ------------------------------------------------------------------------

    def running(self) -> list[State]:
        """The live states of operations that have not ended, oldest first."""
        with self._lock:
            return list(self._running.values())

    def uncounted(self) -> list[State]:
        """The live states that the statistics do not contain yet: those running, and those that have just ended."""
        with self._lock:
            return [*self._running.values(), *self._ended.values()]

    def state(self, operation_id: str) -> State | None:
        """The live state of a running operation."""
        return self._running.get(operation_id)

    def get(self, operation_id: str) -> Operation | None:
        """An operation's snapshot, running or ended, or None when it is not known."""
        self.reap()
        state = self._running.get(operation_id) or self._ended.get(operation_id)
        if state is not None:
            return snapshot(state, self.clock(), self.owner)
        return self._retention.get(operation_id)

    def by_span(self, span_id: str) -> Operation | None:
        """The running operation of a span (hex id)."""
        operation_id = self._by_span.get(span_id)
        return None if operation_id is None else self.get(operation_id)

    def state_of_span(self, span_id: str) -> State | None:
        """The live state of the running operation of a span (hex id)."""
        operation_id = self._by_span.get(span_id)
        return None if operation_id is None else self._running.get(operation_id)

    def operations(
        self,
        *,
        statuses: Iterable[str] | None = None,
        operation_types: Iterable[str] | None = None,
        parent_id: str | None = None,
    ) -> list[Operation]:
        """Snapshots of running and ended operations, newest first, that match every given filter."""
        self.reap()
        self.settle()
        now = self.clock()
        found = [snapshot(state, now, self.owner) for state in self.uncounted()]
        seen = {operation.operation_id for operation in found}
        found += [kept for kept in self._retention.all() if kept.operation_id not in seen]
        wanted_statuses, wanted_types = _as_set(statuses), _as_set(operation_types)
        chosen = [
            operation
            for operation in found
            if (wanted_statuses is None or operation.status in wanted_statuses)
            and (wanted_types is None or operation.operation_type in wanted_types)
            and (parent_id is None or operation.parent_id == parent_id)
        ]
        return sorted(chosen, key=_created, reverse=True)

    def remove(self, operation_id: str) -> bool:
        """Forget an ended operation; False when no such one is kept."""
        self.settle()
        return self._retention.remove(operation_id)

    def cleanup(self, older_than: float = 0.0, statuses: Iterable[str] | None = None) -> int:
        """Forget operations that ended more than `older_than` seconds ago; returns how many."""
        self.settle()
        before = self.clock() - older_than
        return self._retention.remove_all(self._retention.ended_before(before, _as_set(statuses)))

    def clear(self) -> None:
        """Forget every operation, running ones too, and every count."""
        self._running = {}
        self._ended = {}
        self._by_span = {}
        self._dropped.clear()
        self.external = External()
        self.known_jobs = KnownJobs()
        self._retention = Retention(self._retention.limits)
        self._statistics = Statistics()

    def forked(self) -> None:
        """In a forked child: what runs belongs to the parent, and its threads may have held any lock."""
        self._lock = threading.RLock()
        self._settling = threading.RLock()  # a failure is logged inside, and a log handler may read
        self._is_settling = False
        for state in self._running.values():
            transitions.leave_to_parent(state, self.clock())
        for subscription in self._subscriptions:
            subscription.forked()
        self._set_subscriptions(())
        self.clear()


_registries: WeakSet[Registry] = WeakSet()


def _forked() -> None:
    for registry in list(_registries):
        try:
            registry.forked()
        except Exception:
            failures.report("fork")


os.register_at_fork(after_in_child=_forked)


def _as_set(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _created(operation: Operation) -> tuple[float, int]:
    return operation.created_at, operation.epoch
