"""Counts and measurements of one group of operations, and the document of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from midspan.core import estimate
from midspan.core.operation import Operation, Status
from midspan.core.state import State
from midspan.core.statistics import Series
from midspan.core.wire import Figures


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """How values are distributed; None where there are none. Each is a value that was really measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class TokenSums(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of ended operations, as the servers have told them."""

    input: int
    output: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One group of operations. `success_rate` is None where nothing has completed, failed or was lost."""

    started: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    lost: int
    stalled: int
    success_rate: float | None
    tokens: TokenSums
    running_tokens_per_second: float
    duration_seconds: Percentiles
    time_to_first_chunk_seconds: Percentiles
    tokens_per_second: Percentiles
    stage_seconds: dict[str, Percentiles]


@dataclass(slots=True)
class Tally:
    """Counts and measurements of one group of operations."""

    started: int = 0
    stalled: int = 0
    rate: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter[str])
    tokens: Counter[str] = field(default_factory=Counter[str])
    durations: list[float] = field(default_factory=list[float])
    first_chunks: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    stages: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

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
        self.rate += estimate.token_rate(state, now) or 0.0

    def add_ended(self, operation: Operation | Figures) -> None:
        """Take in an ended operation."""
        self.started += 1
        self.statuses[operation.status] += 1
        tokens = operation.tokens
        if tokens is not None:
            self.tokens["input"] += tokens.input or 0
            self.tokens["output"] += 0 if tokens.estimated else tokens.output or 0

        self._measure(operation)

    def _measure(self, operation: Operation | Figures) -> None:
        self.durations.append(operation.elapsed_seconds)
        if operation.time_to_first_chunk is not None:
            self.first_chunks.append(operation.time_to_first_chunk)
        if operation.tokens_per_second is not None:
            self.rates.append(operation.tokens_per_second)
        for stage, seconds in stage_seconds(operation):
            self.stages.setdefault(stage, []).append(seconds)

    def merge_counts(self, other: Tally) -> None:
        """Take in the counts of another tally of ended operations."""
        self.started += other.started
        self.statuses.update(other.statuses)
        self.tokens.update(other.tokens)

    def merge_measures(self, other: Tally) -> None:
        """Take in the times and rates of another tally."""
        self.durations += other.durations
        self.first_chunks += other.first_chunks
        self.rates += other.rates
        for stage, seconds in other.stages.items():
            self.stages.setdefault(stage, []).extend(seconds)

    def document(self) -> dict[str, Any]:
        """The fields of a `Summary`."""
        return {
            "started": self.started,
            **{status.value: self.statuses[status] for status in Status},
            "stalled": self.stalled,
            "success_rate": _success_rate(self.statuses),
            "tokens": TokenSums(input=self.tokens["input"], output=self.tokens["output"]),
            "running_tokens_per_second": self.rate,
            "duration_seconds": percentiles(self.durations),
            "time_to_first_chunk_seconds": percentiles(self.first_chunks),
            "tokens_per_second": percentiles(self.rates),
            "stage_seconds": {stage: percentiles(seconds) for stage, seconds in sorted(self.stages.items())},
        }


def stage_seconds(operation: Operation | Figures) -> list[tuple[str, float]]:
    """How long an ended operation was in each stage that its history has kept."""
    marks = [event for event in operation.history if event.type in ("stage", "end")]
    return [(begun.stage, max(0.0, left.at - begun.at)) for begun, left in pairwise(marks) if begun.stage is not None]


def _success_rate(statuses: Counter[str]) -> float | None:
    """Completed ones among those that could have been: a cancelled operation is neither success nor failure."""
    judged = statuses[Status.COMPLETED] + statuses[Status.FAILED] + statuses[Status.LOST]
    return statuses[Status.COMPLETED] / judged if judged else None


def percentiles(values: list[float]) -> Percentiles:
    """Their 50th, 95th and 99th percentiles by nearest rank."""
    ordered = sorted(values)
    p50, p95, p99 = (_percentile(ordered, percent) for percent in (50, 95, 99))
    return Percentiles(count=len(ordered), p50=p50, p95=p95, p99=p99)


def _percentile(ordered: list[float], percent: int) -> float | None:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None
