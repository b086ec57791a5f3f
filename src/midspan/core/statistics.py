"""Counts, sums and distributions by label set, O(1) per change; what is running is summed up when it is read."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from msgspec import Struct, field

from midspan.core import estimate
from midspan.core.operation import Status
from midspan.core.stages import metric_stage
from midspan.core.state import State
from midspan.core.text import MAX_NAME, clean

MAX_SERIES = 300
MAX_ERROR_TYPES = 20
MAX_MODELS = 50
MAX_PAIRS = 1_300
"""Pairs of a label set and one more label: with an `other` and an empty one for each set, under the SDK's 2,000."""
OTHER = "other"
STAGE_DURATION_FROM = 1.0

DURATION_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
STAGE_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
FIRST_CHUNK_BUCKETS = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
ESTIMATE_BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

_Key = TypeVar("_Key")

ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.LOST)


class Exemplar(Struct, frozen=True):
    """The trace that a histogram's bucket points to."""

    trace_id: str
    span_id: str
    value: float
    at: float


class Histogram:
    """Counts by bucket (the last one is +Inf), their sum, and the newest exemplar of each bucket."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def record(self, value: float, state: State, now: float) -> None:
        """Count `value`, with the operation's span as exemplar when it has one."""
        index = bisect_left(self.bounds, value)
        self.counts[index] += 1
        self.sum += value
        if state.sampled and state.trace_id and state.span_id:
            self.exemplars[index] = Exemplar(state.trace_id, state.span_id, value, now)

    def copy(self) -> Histogram:
        """A copy that later records do not change."""
        twin = Histogram(self.bounds)
        twin.counts, twin.sum, twin.exemplars = list(self.counts), self.sum, dict(self.exemplars)
        return twin


class Labels(NamedTuple):
    """A label set: what every metric of midspan is counted by."""

    operation_type: str
    name: str
    provider: str
    model: str


class Pairs:
    """Values of one more label beside the label sets, each with those that it came with; too many become `other`."""

    __slots__ = ("_reason", "_seen", "suppressed")

    def __init__(self, suppressed: Counter[str], reason: str) -> None:
        self.suppressed = suppressed
        self._reason = reason
        self._seen: set[tuple[Labels, str]] = set()

    def label(self, labels: Labels, value: str) -> str:
        """The value, or `other`; asked again it answers the same."""
        pair = labels, value
        if pair not in self._seen:
            if len(self._seen) >= MAX_PAIRS:
                self.suppressed[self._reason] += 1
                return OTHER
            self._seen.add(pair)
        return value


class Series:
    """Everything counted for one label set since the process started."""

    def __init__(self, labels: Labels, stages: Pairs) -> None:
        self.labels = labels
        self._stages = stages
        self.started = 0
        self.updates = 0
        self.stall_after = 0.0
        self.ended: dict[Status, int] = dict.fromkeys(ENDED, 0)
        self.failures: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.stages_seen: set[str] = set()
        self.durations: dict[Status, Histogram] = {}
        self.stage_durations: dict[str, Histogram] = {}
        self.first_chunk: Histogram | None = None
        self.estimate_errors: dict[str, Histogram] = {}

    def copy(self) -> Series:
        """A copy that later operations do not change."""
        twin = Series(self.labels, self._stages)
        twin.started, twin.updates, twin.stall_after = self.started, self.updates, self.stall_after
        twin.ended, twin.stages_seen = self.ended.copy(), self.stages_seen.copy()
        twin.failures, twin.attempts, twin.tokens = self.failures.copy(), self.attempts.copy(), self.tokens.copy()
        twin.durations, twin.stage_durations = _copies(self.durations), _copies(self.stage_durations)
        twin.first_chunk = None if self.first_chunk is None else self.first_chunk.copy()
        twin.estimate_errors = _copies(self.estimate_errors)
        return twin

    def stage(self, stage: str | None) -> str:
        """A stage as the label of a metric."""
        label = metric_stage(stage)
        return label if label in self.stages_seen else self._stages.label(self.labels, label)

    @property
    def suppressed(self) -> Counter[str]:
        """What the limits have replaced, by reason: of all label sets together."""
        return self._stages.suppressed


class Running(Struct):
    """What one label set's running operations add up to at one instant."""

    active: Counter[str] = field(default_factory=Counter[str])
    progress_sum: float = 0.0
    progress_known: int = 0
    oldest_start: float | None = None
    oldest_progress: float | None = None
    stalled: int = 0
    past_deadline: int = 0

    def add(self, state: State, stage: str, now: float) -> None:
        """Take one running operation into the sums; `stage` is its label."""
        self.active[stage] += 1
        value, _ = estimate.progress(state)
        if value is not None:
            self.progress_sum += value
            self.progress_known += 1
        begun = state.started_at or state.created_at
        self.oldest_start = begun if self.oldest_start is None else min(self.oldest_start, begun)
        moved = state.progressed_at
        if self.oldest_progress is None or moved < self.oldest_progress:
            self.oldest_progress = moved
        self.stalled += estimate.stalled(state, now)
        self.past_deadline += estimate.past_deadline(state, now) or False


class Look(Struct, frozen=True):
    """All label sets at one instant, the sums of what is running by label set, and all updates so far."""

    series: list[Series]
    running: dict[Labels, Running]
    updates: Counter[Labels]


class Statistics:
    """The counters of one registry. Bounded: 300 label sets, 50 models, 20 error types, then `other`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._series: dict[tuple[str, str, str, str], Series] = {}
        self._models: set[str] = set()
        self._error_types: set[str] = set()
        self.suppressed: Counter[str] = Counter()
        self._stages = Pairs(self.suppressed, "stages")
        self._errors = Pairs(self.suppressed, "error_types")

    def start(self, state: State) -> None:
        """Count a started operation; its label set is fixed from now on."""
        given = state.operation_type, state.name, state.provider or "", state.model or ""
        with self._lock:
            # A label set equals the plain tuple of its labels; those that are known need no look at the limits.
            series = state.series = self._series.get(given) or self._series_of(*given)
            series.started += 1
            series.stall_after = state.stall_after

    def _series_of(self, operation_type: str, name: str, provider: str, model: str) -> Series:
        model = self._bounded(model, self._models, MAX_MODELS, "models")
        labels = Labels(*(clean(label, MAX_NAME) for label in (operation_type, name, provider, model)))
        if labels not in self._series and len(self._series) >= MAX_SERIES:
            self.suppressed["label_sets"] += 1
            labels = Labels(OTHER, OTHER, OTHER, OTHER)
        return self._series.setdefault(labels, Series(labels, self._stages))

    def _bounded(self, value: str, seen: set[str], limit: int, reason: str) -> str:
        if value in seen:
            return value
        if len(seen) < limit:
            seen.add(value)
            return value
        self.suppressed[reason] += 1
        return OTHER

    def attempt(self, state: State, error_type: str | None) -> None:
        """Count one attempt that failed or succeeded (`None`) within an operation."""
        series = state.series
        if series is None:
            return
        with self._lock:
            series.attempts[self._error_label(series, error_type)] += 1

    def _error_label(self, series: Series, error_type: str | None) -> str:
        if not error_type:
            return ""
        known = self._bounded(clean(error_type, MAX_NAME), self._error_types, MAX_ERROR_TYPES, "error_types")
        return known if known == OTHER else self._errors.label(series.labels, known)

    def end(self, state: State, now: float) -> None:
        """Count an ended operation: status, error, tokens, and its durations."""
        series = state.series
        if series is None:
            return
        with self._lock:
            series.ended[state.status] += 1
            series.updates += state.updates
            self._count_error(series, state)
            _count_tokens(series, state)
            _record_times(series, state, now)
            if state.content is not None and state.content.is_cut:
                self.suppressed["content"] += 1
            state.series = None  # counted: `running` leaves it out

    def _count_error(self, series: Series, state: State) -> None:
        label = "" if state.error is None else self._error_label(series, state.error.type)
        series.attempts[label] += 1
        if state.status is Status.FAILED:
            series.failures[label or "unknown"] += 1

    def series(self) -> list[Series]:
        """All label sets so far, oldest first."""
        with self._lock:
            return list(self._series.values())

    def look(self, states: Iterable[State], now: float) -> Look:
        """One consistent look: copies of all label sets, and what runs of them, computed so that nothing lingers.

        `states` is a list taken before: what ends meanwhile is counted here or in its series, never twice, never not.
        """
        with self._lock:
            uncounted = [(state, state.series) for state in states if state.series is not None]
            copies = {series.labels: series.copy() for series in self._series.values()}
        look = Look(list(copies.values()), {}, Counter({series.labels: series.updates for series in copies.values()}))
        for state, series in uncounted:
            look.updates[series.labels] += state.updates
            if state.ended_at is None:
                stage = series.stage(state.stage)
                series.stages_seen.add(stage)
                copies[series.labels].stages_seen.add(stage)
                look.running.setdefault(series.labels, Running()).add(state, stage, now)
        return look


def _count_tokens(series: Series, state: State) -> None:
    if state.input_tokens is not None:
        series.tokens["input"] += state.input_tokens
    if state.tokens_reported and state.output_tokens is not None:
        series.tokens["output"] += state.output_tokens


def _record_times(series: Series, state: State, now: float) -> None:
    duration = state.duration
    _histogram(series.durations, state.status, DURATION_BUCKETS).record(duration, state, now)
    if state.time_to_first_chunk is not None:
        if series.first_chunk is None:
            series.first_chunk = Histogram(FIRST_CHUNK_BUCKETS)
        series.first_chunk.record(state.time_to_first_chunk, state, now)
    if duration > STAGE_DURATION_FROM:
        for stage, seconds in stage_times(series, state):
            _histogram(series.stage_durations, stage, STAGE_BUCKETS).record(seconds, state, now)
    for method, seconds in () if state.first_estimate is None else estimate_errors(state):
        _histogram(series.estimate_errors, method, ESTIMATE_BUCKETS).record(seconds, state, now)


def stage_times(series: Series, state: State) -> list[tuple[str, float]]:
    """Seconds in each stage, by its label, of an ended operation that took longer than a second."""
    if state.duration <= STAGE_DURATION_FROM:
        return []
    return [(series.stage(stage), max(0.0, seconds)) for stage, seconds in state.stage_times]


def estimate_errors(state: State) -> list[tuple[str, float]]:
    """By how many seconds a completed operation's first estimate was off, with its method, if it had one."""
    if state.first_estimate is None or state.status is not Status.COMPLETED or state.ended_at is None:
        return []
    at, seconds, method = state.first_estimate
    return [(method, abs(state.ended_at - at - seconds))]


def _copies(histograms: dict[_Key, Histogram]) -> dict[_Key, Histogram]:
    return {key: histogram.copy() for key, histogram in histograms.items()}


def _histogram(into: dict[_Key, Histogram], key: _Key, bounds: tuple[float, ...]) -> Histogram:
    histogram = into.get(key)
    if histogram is None:
        histogram = into[key] = Histogram(bounds)
    return histogram
