"""The document of `/v1/statistics`: counts since the start of the process, durations from the operations kept."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from midspan.core import estimate
from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.state import State
from midspan.core.statistics import ENDED, OTHER, Labels, Series
from midspan.core.wire import rfc3339

GROUPS = {
    "by_type": "operation_type",
    "by_provider": "provider",
    "by_model": "model",
    "by_name": "name",
}
PERCENTILES = (50, 95, 99)


@dataclass(slots=True)
class Tally:
    """Counts and durations (seconds) of one group of operations."""

    started: int = 0
    stalled: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    tokens: Counter[str] = field(default_factory=Counter[str])
    durations: list[float] = field(default_factory=list[float])

    def add_series(self, series: Series) -> None:
        """Take in what was counted for one label set."""
        self.started += series.started
        self.tokens.update(dict(series.tokens))
        for status, count in series.ended.items():
            self.statuses[status] += count

    def add_running(self, state: State, now: float) -> None:
        """Take in an operation that has not ended."""
        self.statuses[state.status] += 1
        self.stalled += estimate.stalled(state, now)

    def document(self) -> dict[str, object]:
        """The tally as plain values; a rate or a percentile of nothing is None."""
        return {
            "started": self.started,
            **{status.value: self.statuses[status] for status in Status},
            "stalled": self.stalled,
            "success_rate": _success_rate(self.statuses),
            "tokens": {kind: self.tokens[kind] for kind in ("input", "output")},
            "duration_seconds": _percentiles(sorted(self.durations)),
        }


def _success_rate(statuses: Counter[str]) -> float | None:
    """Completed ones among those that could have been: a cancelled operation is neither success nor failure."""
    judged = statuses[Status.COMPLETED] + statuses[Status.FAILED] + statuses[Status.LOST]
    return statuses[Status.COMPLETED] / judged if judged else None


def _percentiles(ordered: list[float]) -> dict[str, object]:
    return {"count": len(ordered), **{f"p{p}": _percentile(ordered, p) for p in PERCENTILES}}


def _percentile(ordered: list[float], percent: int) -> float | None:
    """Nearest rank: a duration that was really measured."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary(registry: Registry) -> dict[str, object]:
    """Everything, and by type, provider, model and name; groups without operations are left out."""
    now = registry.clock()
    whole, groups = Tally(), {name: dict[str, Tally]() for name in GROUPS}
    for series in registry.statistics.series():
        for tally in (whole, *_tallies(groups, series.labels)):
            tally.add_series(series)
    for state in registry.running():
        if state.series is not None and not state.is_ended:
            for tally in (whole, *_tallies(groups, state.series.labels)):
                tally.add_running(state, now)
    for operation in registry.operations(statuses=ENDED):
        for tally in (whole, *_known(groups, operation)):
            tally.durations.append(operation.elapsed_seconds)
    return {"at": rfc3339(now), **whole.document(), **_documents(groups)}


def _tallies(groups: dict[str, dict[str, Tally]], labels: Labels) -> list[Tally]:
    """The label set's tally in each group; none in a group where it has no value."""
    values = {name: str(getattr(labels, key)) for name, key in GROUPS.items()}
    return [groups[name].setdefault(value, Tally()) for name, value in values.items() if value]


def _known(groups: dict[str, dict[str, Tally]], operation: Operation) -> list[Tally]:
    """The kept operation's tally in each group; that of `other` where the limits put it."""
    values = {name: getattr(operation, key) for name, key in GROUPS.items()}
    found = [groups[name].get(value) or groups[name].get(OTHER) for name, value in values.items() if value]
    return [tally for tally in found if tally is not None]


def _documents(groups: dict[str, dict[str, Tally]]) -> dict[str, object]:
    return {
        name: {value: tally.document() for value, tally in sorted(tallies.items())} for name, tallies in groups.items()
    }
