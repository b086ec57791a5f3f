"""The document of `/v1/statistics`: counts since the start of the process, durations from the operations kept.

With a window, or for a reader who may not see everything, the counts are those of the operations kept too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.core.snapshot import snapshot
from midspan.core.statistics import MAX_SERIES, OTHER, Labels, Series
from midspan.core.wire import Figures, rfc3339, unpack, unpack_figures
from midspan.server.tally import Summary, Tally

GROUPS = {
    "by_type": "operation_type",
    "by_provider": "provider",
    "by_model": "model",
    "by_name": "name",
}
Sees = Callable[[Operation], bool]
"""Says which operations a reader may see."""


class EstimateError(msgspec.Struct, frozen=True, kw_only=True):
    """By how many seconds the first estimates of completed operations were off."""

    count: int
    mean: float


class Statistics(Summary, frozen=True, kw_only=True):
    """All operations, and the groups of them. `estimate_error_seconds` is by method, since the process has started."""

    at: str
    window_seconds: float | None
    estimate_error_seconds: dict[str, EstimateError]
    by_type: dict[str, Summary]
    by_provider: dict[str, Summary]
    by_model: dict[str, Summary]
    by_name: dict[str, Summary]


@dataclass(slots=True)
class Tallies:
    """The whole, and the tally of each value in each group. `open` groups take new values, up to a limit."""

    open: bool
    whole: Tally = field(default_factory=Tally)
    groups: dict[str, dict[str, Tally]] = field(default_factory=lambda: {name: {} for name in GROUPS})

    def of(self, described: object, *, new: bool = False) -> list[Tally]:
        """The whole, and the tally in each group for what has a type, name, provider and model."""
        found = [self._in_group(name, str(getattr(described, key) or ""), new) for name, key in GROUPS.items()]
        return [self.whole, *(tally for tally in found if tally is not None)]

    def _in_group(self, name: str, value: str, new: bool) -> Tally | None:
        """None without a value; that of `other` for a value that the limits have put there."""
        group = self.groups[name]
        if not value or value in group:
            return group.get(value)
        is_taken = new or (self.open and len(group) < MAX_SERIES)
        return group.setdefault(value if is_taken else OTHER, Tally())

    def documents(self) -> dict[str, Any]:
        """The groups by name, each by value."""
        return {
            name: {value: Summary(**tally.document()) for value, tally in sorted(group.items())}
            for name, group in self.groups.items()
        }


def summary(registry: Registry, window: float | None = None, sees: Sees | None = None) -> Statistics:
    """Everything, and by type, provider, model and name; groups without operations are left out.

    `window` (seconds) leaves out what ended before it; `sees` leaves out what it is false for.
    """
    now = registry.clock()
    counted = window is None and sees is None
    tallies = Tallies(open=not counted)
    series = registry.statistics.series()
    if counted:
        _add_series(tallies, series)
    _add_running(registry, tallies, now, sees)
    oldest = -math.inf if window is None else now - window
    kept = registry.retention.since(oldest)
    _add_ended(tallies, map(unpack_figures, kept) if sees is None else filter(sees, map(unpack, kept)))
    return Statistics(
        at=rfc3339(now) or "",
        window_seconds=window,
        estimate_error_seconds=_estimate_errors(series) if sees is None else {},
        **tallies.whole.document(),
        **tallies.documents(),
    )


def _add_series(tallies: Tallies, series: Iterable[Series]) -> None:
    for each in series:
        for tally in tallies.of(each.labels, new=True):
            tally.add_series(each)


def _add_running(registry: Registry, tallies: Tallies, now: float, sees: Sees | None) -> None:
    for state in registry.running():
        series = state.series
        if series is None or state.is_ended or (sees and not sees(snapshot(state, now, registry.owner))):
            continue
        for tally in tallies.of(state if tallies.open else series.labels):
            tally.started += tallies.open
            tally.add_running(state, now)


def _add_ended(tallies: Tallies, ended: Iterable[Operation | Figures]) -> None:
    # By label set first: most operations have one of a few, and each would be taken in by five tallies.
    sets: dict[Labels, Tally] = {}
    for each in ended:
        labels = Labels(each.operation_type, each.name, each.provider or "", each.model or "")
        tally = sets.get(labels)
        if tally is None:
            tally = sets[labels] = Tally()
        tally.add_ended(each)
    for labels, tally in sets.items():
        for wider in tallies.of(labels):
            wider.merge_measures(tally)
            if tallies.open:
                wider.merge_counts(tally)


def _estimate_errors(series: Iterable[Series]) -> dict[str, EstimateError]:
    sums: dict[str, tuple[int, float]] = {}
    for each in series:
        for method, histogram in list(each.estimate_errors.items()):
            count, seconds = sums.get(method, (0, 0.0))
            sums[method] = count + sum(histogram.counts), seconds + histogram.sum
    return {method: EstimateError(count=count, mean=seconds / count) for method, (count, seconds) in sums.items()}
