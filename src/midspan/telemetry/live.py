"""Series of single operations, for Prometheus alone: few, long ones only, and not too many new ids.

An operation's id is no label for a metric that keeps every label it has seen; a page that is computed when it is
read forgets an operation with its end.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final
from weakref import WeakSet

from midspan.core import estimate, names
from midspan.core.metrics import COMMON, Point
from midspan.core.operation import OperationType, Status
from midspan.core.stages import metric_stage
from midspan.core.state import State
from midspan.core.statistics import Series

FROM_SECONDS: Final = 30.0
NEW_IDS: Final = 200
WINDOW_SECONDS: Final = 3600.0

_SHORT_TYPES = frozenset({OperationType.LLM_REQUEST, OperationType.EMBEDDING})


@dataclass(frozen=True, slots=True)
class Shown:
    """What one operation's series say; unknown values have no series."""

    labels: tuple[str, ...]
    stage: str | None
    progress: float | None
    progressed_at: float
    eta: float | None
    deadline: float | None


@dataclass(frozen=True, slots=True)
class LiveMetric:
    """One gauge with a series for each operation that is shown."""

    name: str
    unit: str
    help: str
    value: Callable[[Shown], float | None]
    labels: tuple[str, ...] = (*COMMON, "operation_id")
    kind: str = "gauge"

    def read(self, shown: Iterable[Shown]) -> Iterator[Point]:
        """A point for each operation of which the value is known."""
        for one in shown:
            value = self.value(one)
            if value is not None:
                yield one.labels, value


@dataclass(frozen=True, slots=True)
class LiveStage(LiveMetric):
    """The stage, as a label of a series that is always 1."""

    labels: tuple[str, ...] = (*COMMON, "operation_id", names.STAGE)

    def read(self, shown: Iterable[Shown]) -> Iterator[Point]:
        """A point for each operation that has a stage; others than the standard ones are `custom`."""
        return (((*one.labels, metric_stage(one.stage)), 1.0) for one in shown if one.stage)


class LiveOperations:
    """Chooses the operations that are shown: the `limit` oldest long ones, at most 200 new ids an hour."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.forget()
        _choosers.add(self)

    def forget(self) -> None:
        """Begin anew, as in a forked child, where a thread that is not there may have held the lock."""
        self._lock = threading.RLock()
        self._admitted: set[str] = set()
        self._refused: set[str] = set()
        self._times: deque[float] = deque()
        self.suppressed = 0

    def choose(self, running: Iterable[State], now: float) -> list[Shown]:
        """Those to be shown at `now` (Unix seconds), oldest first; `running` must be in that order."""
        oldest = list(islice(((s, series) for s in running if (series := _long(s, now))), self.limit))
        with self._lock:
            self._forget({state.operation_id for state, _ in oldest}, now)
            admitted = [(state, series) for state, series in oldest if self._admit(state, now)]
        return [_show(state, series, now) for state, series in admitted]

    def _forget(self, seen: set[str], now: float) -> None:
        self._admitted &= seen
        self._refused &= seen
        while self._times and now - self._times[0] >= WINDOW_SECONDS:
            self._times.popleft()

    def _admit(self, state: State, now: float) -> bool:
        operation_id = state.operation_id
        if operation_id in self._admitted:
            return True
        if len(self._times) < NEW_IDS:
            self._times.append(now)
            self._admitted.add(operation_id)
            return True
        if operation_id not in self._refused:
            self._refused.add(operation_id)
            self.suppressed += 1
        return False


_choosers: WeakSet[LiveOperations] = WeakSet()


def _forked() -> None:
    for chooser in list(_choosers):
        chooser.forget()


os.register_at_fork(after_in_child=_forked)


def _long(state: State, now: float) -> Series | None:
    """The label set of an operation that may be shown, or None."""
    begun = state.started_at
    if begun is None or now - begun <= FROM_SECONDS or state.status is not Status.RUNNING:
        return None
    return None if state.operation_type in _SHORT_TYPES else state.series


def _show(state: State, series: Series, now: float) -> Shown:
    with state.lock:
        fraction = estimate.progress(state)
        seconds, _ = estimate.remaining(state, fraction, now)
        return Shown(
            (*series.labels, state.operation_id),
            state.stage,
            fraction[0],
            state.progressed_at,
            None if seconds is None else now + seconds,
            state.deadline_at,
        )


LIVE: Final[tuple[LiveMetric, ...]] = (
    LiveMetric("midspan.live.operation.progress.ratio", "1", "Progress of one long operation.", lambda s: s.progress),
    LiveMetric(
        "midspan.live.operation.last_progress.timestamp",
        "s",
        "Last progress of one long operation, Unix time.",
        lambda s: s.progressed_at,
    ),
    LiveMetric(
        "midspan.live.operation.eta.timestamp",
        "s",
        "When one long operation is expected to end, Unix time.",
        lambda s: s.eta,
    ),
    LiveMetric(
        "midspan.live.operation.deadline.timestamp",
        "s",
        "Deadline of one long operation, Unix time.",
        lambda s: s.deadline,
    ),
    LiveStage("midspan.live.operation.stage", "", "The stage that one long operation is in.", lambda _: 1.0),
)
