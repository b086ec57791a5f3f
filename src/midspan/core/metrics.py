"""The table of metrics: one row a metric, read by every exporter, so that all of them show the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midspan.core import failures, names
from midspan.core.statistics import (
    DURATION_BUCKETS,
    ESTIMATE_BUCKETS,
    FIRST_CHUNK_BUCKETS,
    STAGE_BUCKETS,
    Histogram,
    Labels,
    Running,
    Series,
    estimate_errors,
    stage_times,
)

if TYPE_CHECKING:
    from midspan.core.registry import Registry
    from midspan.core.state import State

COMMON = (names.OPERATION_TYPE, names.OPERATION_NAME, names.GEN_AI_PROVIDER, names.GEN_AI_MODEL)

Point = tuple[tuple[str, ...], float]
HistogramPoint = tuple[tuple[str, ...], Histogram]


@dataclass(frozen=True, slots=True)
class Reading:
    """One consistent look at a registry: every metric of a scrape reads the same one."""

    now: float
    series: list[Series]
    running: dict[Labels, Running]
    updates: Counter[Labels]
    suppressed: dict[str, int]

    @classmethod
    def of(cls, registry: Registry) -> Reading:
        """Read `registry` at its own clock's time."""
        now = registry.clock()
        # In this order: what ends in between is then counted once, in one of both.
        states = registry.uncounted()
        look = registry.statistics.look(states, now)
        return cls(now, look.series, look.running, look.updates, dict(registry.statistics.suppressed))

    def each_running(self) -> Iterator[tuple[Series, Running]]:
        """Every label set with what is running of it, empty sums included."""
        nothing = Running()
        for series in self.series:
            yield series, self.running.get(series.labels, nothing)


NOTHING = Reading(0.0, [], {}, Counter(), {})
"""No registry at all."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: OpenTelemetry name, kind (counter, updown, gauge), UCUM unit, help, labels, and how it is read."""

    name: str
    kind: str
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Reading], Iterable[Point]]


@dataclass(frozen=True, slots=True)
class HistogramMetric:
    """One distribution in seconds; `read` gives a histogram for each label set that has one.

    `measured` is what an ended operation adds to it: values, each with the labels beyond the common ones.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    read: Callable[[Reading], Iterable[HistogramPoint]]
    measured: Callable[[Series, State], Iterable[Point]]
    unit: str = "s"


def _active(reading: Reading) -> Iterator[Point]:
    for series, running in reading.each_running():
        for stage in sorted(series.stages_seen):
            yield (*series.labels, stage), running.active.get(stage, 0)


def _started(reading: Reading) -> Iterator[Point]:
    return ((series.labels, series.started) for series in reading.series)


def _ended(reading: Reading) -> Iterator[Point]:
    return (((*series.labels, status), count) for series in reading.series for status, count in series.ended.items())


def _counter(field: str) -> Callable[[Reading], Iterator[Point]]:
    """A reader of one of a series' counters by a label: error type or token type."""

    def read(reading: Reading) -> Iterator[Point]:
        for series in reading.series:
            for label, count in getattr(series, field).items():
                yield (*series.labels, label), count

    return read


def _updates(reading: Reading) -> Iterator[Point]:
    return ((series.labels, reading.updates[series.labels]) for series in reading.series)


def _progress(reading: Reading) -> Iterator[Point]:
    for labels, running in reading.running.items():
        if running.progress_known:
            yield labels, running.progress_sum / running.progress_known


def _oldest_start(reading: Reading) -> Iterator[Point]:
    return _known((labels, running.oldest_start) for labels, running in reading.running.items())


def _oldest_progress(reading: Reading) -> Iterator[Point]:
    return _known((labels, running.oldest_progress) for labels, running in reading.running.items())


def _known(points: Iterable[tuple[Labels, float | None]]) -> Iterator[Point]:
    return ((labels, value) for labels, value in points if value is not None)


def _stall_after(reading: Reading) -> Iterator[Point]:
    return ((series.labels, series.stall_after) for series in reading.series)


def _stalled(reading: Reading) -> Iterator[Point]:
    return ((series.labels, running.stalled) for series, running in reading.each_running())


def _past_deadline(reading: Reading) -> Iterator[Point]:
    return ((series.labels, running.past_deadline) for series, running in reading.each_running())


def _internal_errors(reading: Reading) -> Iterator[Point]:
    return (((component,), count) for component, count in failures.counts().items())


def _suppressed(reading: Reading) -> Iterator[Point]:
    return (((reason,), count) for reason, count in reading.suppressed.items())


def _histograms(field: str) -> Callable[[Reading], Iterator[HistogramPoint]]:
    """A reader of one of a series' families of histograms by a label: status, stage or method."""

    def read(reading: Reading) -> Iterator[HistogramPoint]:
        for series in reading.series:
            for label, histogram in getattr(series, field).items():
                yield (*series.labels, label), histogram

    return read


def _first_chunk(reading: Reading) -> Iterator[HistogramPoint]:
    for series in reading.series:
        if series.first_chunk is not None:
            yield series.labels, series.first_chunk


def _measured_duration(_: Series, state: State) -> tuple[Point, ...]:
    return (((state.status,), state.duration),)


def _measured_stages(series: Series, state: State) -> list[Point]:
    return [((stage,), seconds) for stage, seconds in stage_times(series, state)]


def _measured_first_chunk(_: Series, state: State) -> tuple[Point, ...]:
    return () if state.time_to_first_chunk is None else (((), state.time_to_first_chunk),)


def _measured_estimate(_: Series, state: State) -> list[Point]:
    return [((method,), seconds) for method, seconds in estimate_errors(state)]


METRICS: tuple[Metric, ...] = (
    Metric("midspan.operation.active", "updown", "{operation}", "Operations running now.", (*COMMON, names.STAGE), _active),
    Metric("midspan.operation.started", "counter", "{operation}", "Operations started.", COMMON, _started),
    Metric("midspan.operation.ended", "counter", "{operation}", "Operations ended, by status.", (*COMMON, names.STATUS), _ended),
    Metric("midspan.operation.failures", "counter", "{operation}", "Operations failed, by error type.", (*COMMON, names.ERROR_TYPE), _counter("failures")),
    Metric("midspan.tokens", "counter", "{token}", "Tokens as reported by the server, by token type.", (*COMMON, names.GEN_AI_TOKEN_TYPE), _counter("tokens")),
    Metric("midspan.operation.updates", "counter", "{update}", "Progress updates of operations.", COMMON, _updates),
    Metric("midspan.attempts", "counter", "{attempt}", "Attempts made, by error type (empty: the attempt did not fail).", (*COMMON, names.ERROR_TYPE), _counter("attempts")),
    Metric("midspan.operation.progress.ratio", "gauge", "1", "Mean progress of the running operations whose progress is known.", COMMON, _progress),
    Metric("midspan.operation.oldest_start.timestamp", "gauge", "s", "Start of the oldest running operation, Unix time.", COMMON, _oldest_start),
    Metric("midspan.operation.oldest_progress.timestamp", "gauge", "s", "Longest-ago last progress of a running operation, Unix time.", COMMON, _oldest_progress),
    Metric("midspan.operation.stall_after", "gauge", "s", "Seconds without progress after which an operation counts as stalled.", COMMON, _stall_after),
    Metric("midspan.operation.stalled", "updown", "{operation}", "Running operations without progress for longer than their limit.", COMMON, _stalled),
    Metric("midspan.operation.past_deadline", "updown", "{operation}", "Running operations past their deadline.", COMMON, _past_deadline),
    Metric("midspan.internal.errors", "counter", "{error}", "Failures of midspan itself, by component.", (names.COMPONENT,), _internal_errors),
    Metric("midspan.series.suppressed", "counter", "{series}", "Label values that the limits replaced by 'other', by reason.", (names.REASON,), _suppressed),
)  # fmt: skip

ERRORS = next(row for row in METRICS if row.read is _internal_errors)
"""In which it is told that something could not be read; it needs no registry, and is read from `NOTHING`."""

HISTOGRAMS: tuple[HistogramMetric, ...] = (
    HistogramMetric("midspan.operation.duration", "Duration of ended operations, by status.", (*COMMON, names.STATUS), DURATION_BUCKETS, _histograms("durations"), _measured_duration),
    HistogramMetric("midspan.stage.duration", "Time spent in each stage, of operations longer than one second.", (*COMMON, names.STAGE), STAGE_BUCKETS, _histograms("stage_durations"), _measured_stages),
    HistogramMetric("midspan.time_to_first_chunk", "Time from the start to the first chunk of the answer.", COMMON, FIRST_CHUNK_BUCKETS, _first_chunk, _measured_first_chunk),
    HistogramMetric("midspan.estimate.error", "How far the first estimate of the remaining time was off.", (*COMMON, names.ESTIMATE_METHOD), ESTIMATE_BUCKETS, _histograms("estimate_errors"), _measured_estimate),
)  # fmt: skip
