"""The metrics table through OpenTelemetry: counters and gauges are read when collected, histograms filled at the end.

Imported by `metering` once somebody else has imported `opentelemetry.metrics`: that is 8 ms which most starts save.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, NoOpHistogram, Observation
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags

from midspan.core import failures, names
from midspan.core.metrics import ERRORS, HISTOGRAMS, METRICS, NOTHING, Metric, Reading
from midspan.core.registry import Registry
from midspan.core.state import State
from midspan.telemetry.genai_metrics import GenAiHistograms
from midspan.telemetry.scope import package_version

NO_SPAN: Final = trace.set_span_in_context(INVALID_SPAN, Context())
"""Not an empty context: for that the SDK takes the current one, and its span for the exemplar."""

READING_HOLDS: Final = 1.0
"""Seconds after which a reading is not shared any more: a collection that takes longer sees two."""

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class MeterExport:
    """One registry's metrics at one meter provider, the global one by default. `on` False makes it silent.

    An instrument cannot be taken back: this object has to be kept for as long as its provider may be used again.
    """

    def __init__(self, registry: Registry, provider: MeterProvider | None) -> None:
        self.provider = provider
        self.on = True
        self.genai = True
        self._registry = registry
        self._readings = SharedReading(registry)
        self._histograms: list[Histogram] | None = None
        self._genai: GenAiHistograms | None = None
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, str]] = {}
        meter = self._meter()
        for row in METRICS:
            _observable(meter, row, partial(self._observe, row))

    def _meter(self) -> Meter:
        return metrics.get_meter(names.SCOPE, package_version(), self.provider)

    @property
    def is_complete(self) -> bool:
        """True once a real provider has taken the histograms too."""
        return self._histograms is not None

    def has_provider(self) -> bool:
        """True once there is a provider that keeps something: those of the API itself, its placeholder too, do not."""
        provider = current_provider() if self.provider is None else self.provider
        return not type(provider).__module__.startswith("opentelemetry.metrics")

    def complete(self) -> None:
        """Make the histograms if there is a provider for them by now."""
        if self.is_complete or not self.has_provider():
            return
        meter = self._meter()
        made = [_histogram(meter, row.name, row.unit, row.help, row.buckets) for row in HISTOGRAMS]
        # With OTEL_SDK_DISABLED, or switched off for us by the SDK's configuration.
        idle = isinstance(made[0], NoOpHistogram)
        self._genai = None if idle else GenAiHistograms(partial(_histogram, meter))
        self._histograms = [] if idle else made

    def record(self, state: State) -> None:
        """Take an ended operation into the histograms; its span stands by as exemplar, if it is sampled."""
        series = state.series
        if not self._histograms or series is None:
            return
        context = _context(state)
        for row, histogram in zip(HISTOGRAMS, self._histograms, strict=True):
            for more, value in row.measured(series, state):
                if 0.0 <= value < math.inf:
                    histogram.record(value, self._labelled(row.labels, (*series.labels, *more)), context)
        if self.genai and self._genai is not None:
            self._genai.record(state, series, context)

    def _labelled(self, names: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
        """The attributes for these values, made once: there are as many as the statistics have label sets and pairs."""
        known = self._known.get((names, values))
        if known is None:
            known = self._known[names, values] = _attributes(names, values)
        return known

    def _observe(self, row: Metric, _: CallbackOptions) -> list[Observation]:
        if not self.on:
            return []
        try:
            points = row.read(NOTHING if row is ERRORS else self._readings.take(row.name))
            return [Observation(value, _attributes(row.labels, labels), NO_SPAN) for labels, value in points]
        except Exception:
            failures.report("metrics")
            return []

    def forked(self) -> None:
        """In a forked child: what was read was the parent's."""
        self._readings = SharedReading(self._registry)


class SharedReading:
    """One reading for all the callbacks of a collection: a new one is taken when a callback asks again.

    The SDK collects under a lock of its own; two threads that come nevertheless read once more, no harm done.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._reading: Reading | None = None
        self._told: set[str] = set()
        self._until = 0.0

    def take(self, name: str) -> Reading:
        """The reading for the callback of this name."""
        reading, now = self._reading, monotonic()
        if reading is None or name in self._told or now > self._until:
            self._told, self._until = set(), now + READING_HOLDS
            reading = self._reading = Reading.of(self._registry)
        self._told.add(name)
        return reading


def current_provider() -> MeterProvider:
    """The global meter provider, or the API's placeholder for it."""
    return metrics.get_meter_provider()


def _observable(meter: Meter, row: Metric, callback: Callable[[CallbackOptions], list[Observation]]) -> None:
    create = {
        "counter": meter.create_observable_counter,
        "updown": meter.create_observable_up_down_counter,
        "gauge": meter.create_observable_gauge,
    }[row.kind]
    create(row.name, [callback], row.unit, row.help)


def _histogram(meter: Meter, name: str, unit: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=buckets)


def _attributes(names: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    """An empty label is none: Prometheus sees it the same way."""
    return {name: str(value) for name, value in zip(names, values, strict=True) if value}


def _context(state: State) -> Context:
    if not (state.sampled and state.trace_id and state.span_id):
        return NO_SPAN
    found = SpanContext(int(state.trace_id, 16), int(state.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
    return trace.set_span_in_context(NonRecordingSpan(found), Context())
