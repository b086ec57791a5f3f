"""The metrics table as a Prometheus page: pulled, computed at every scrape, exemplars included.

It is an adapter of our own: the OpenTelemetry reader for Prometheus drops exemplars, and cannot let a series end.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from midspan.core import failures, metrics
from midspan.core.metrics import ERRORS, HISTOGRAMS, METRICS, NOTHING, Point, Reading
from midspan.core.registry import Registry
from midspan.core.statistics import Histogram
from midspan.telemetry.live import LIVE, LiveMetric, LiveOperations
from midspan.telemetry.scope import package_version

Family = CounterMetricFamily | GaugeMetricFamily
_T = TypeVar("_T")
Bucket = tuple[str, float] | tuple[str, float, Exemplar]

LIVE_SERIES: Final = 20
SUPPRESSED: Final = "midspan.series.suppressed"


class MidspanCollector(Collector):
    """Reads one registry at every scrape. `live_series` is how many operations get series of their own; 0 is none."""

    def __init__(self, registry: Registry, live_series: int = LIVE_SERIES) -> None:
        self._registry = registry
        self._live = LiveOperations(live_series)
        self._live_rows = LIVE if live_series else ()

    def describe(self) -> Iterable[Metric]:
        """Every family without its samples, so that registering costs no scrape."""
        plain: list[Metric] = [_family(row) for row in (*METRICS, *self._live_rows)]
        return [*plain, *(_histogram_family(row) for row in HISTOGRAMS), _build_info()]

    def collect(self) -> Iterable[Metric]:
        """Every family of the table, ordered by name, its samples by their labels; none that cannot be read.

        Errors are read last, so that they have those of this scrape. It may be the application's own page: no family
        of ours takes another one with it.
        """
        return _guarded(lambda: sorted([*_guarded(self._families), *_guarded(_read_errors)], key=_name))

    def _families(self) -> Iterable[Metric]:
        yield _build_info()
        for reading in _guarded(lambda: [Reading.of(self._registry)]):
            yield from self._tabled(reading)

    def _tabled(self, reading: Reading) -> Iterable[Metric]:
        yield from _guarded(lambda: self._read_live(reading.now))
        for row in METRICS:
            if row is not ERRORS:
                yield from _guarded(lambda row=row: [self._read(row, reading)])
        for row in HISTOGRAMS:
            yield from _guarded(lambda row=row: [_read_histogram(row, reading)])

    def _read(self, row: metrics.Metric, reading: Reading) -> Metric:
        points = _guarded(lambda: row.read(reading))
        if row.name == SUPPRESSED and self._live.suppressed:
            points.append((("live_operations",), self._live.suppressed))
        return _filled(row, points)

    def _read_live(self, now: float) -> list[Metric]:
        if not self._live_rows:
            return []
        shown = _guarded(lambda: self._live.choose(self._registry.running(), now))
        return [_filled(row, list(row.read(shown))) for row in self._live_rows]


class MetricsPage:
    """`/metrics`: midspan's families, `midspan_build_info` and the process's own, apart from any global registry."""

    def __init__(self, registry: Registry, live_series: int = LIVE_SERIES) -> None:
        self._pulled, self._errors = CollectorRegistry(), CollectorRegistry()
        self._pulled.register(MidspanCollector(registry, live_series))
        ProcessCollector(registry=self._pulled)
        self._errors.register(_Errors())

    def __call__(self, accept: str | None = None) -> tuple[bytes, str]:
        """(body, content type) for an `Accept` header: OpenMetrics when asked for, else the plain text format.

        A page that cannot be written has midspan's own errors alone: a scrape that fails says so.
        """
        try:
            encode, content_type = choose_encoder(accept or "")
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        try:
            return encode(self._pulled), content_type
        except Exception:
            failures.report("prometheus")
            return encode(self._errors), content_type


class _Errors(Collector):
    """What a page has that cannot have anything else."""

    def collect(self) -> Iterable[Metric]:
        return _read_errors()


_registered: WeakKeyDictionary[CollectorRegistry, MidspanCollector] = WeakKeyDictionary()


def register(registry: Registry, prometheus_registry: CollectorRegistry, live_series: int = LIVE_SERIES) -> None:
    """Show midspan's metrics in the application's own Prometheus registry as well; a second time changes nothing."""
    if prometheus_registry not in _registered:
        collector = MidspanCollector(registry, live_series)
        prometheus_registry.register(collector)
        _registered[prometheus_registry] = collector


def unregister(prometheus_registry: CollectorRegistry) -> None:
    """Take midspan's metrics out of it again."""
    collector = _registered.pop(prometheus_registry, None)
    if collector is not None:
        prometheus_registry.unregister(collector)


def exposed(name: str, unit: str = "") -> str:
    """The Prometheus name of a metric or a label: dots are underscores, seconds are named."""
    plain = name.replace(".", "_")
    return f"{plain}_seconds" if unit == "s" else plain


def _name(family: Metric) -> str:
    return family.name


def _labels(labels: tuple[str, ...]) -> list[str]:
    return [exposed(label) for label in labels]


def _unit(unit: str) -> str:
    return "seconds" if unit == "s" else ""


def _family(row: metrics.Metric | LiveMetric) -> Family:
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    return kind(exposed(row.name, row.unit), row.help, labels=_labels(row.labels), unit=_unit(row.unit))


def _histogram_family(row: metrics.HistogramMetric) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        exposed(row.name, row.unit), row.help, labels=_labels(row.labels), unit=_unit(row.unit)
    )


def _filled(row: metrics.Metric | LiveMetric, points: list[Point]) -> Family:
    family = _family(row)
    for labels, value in sorted(points):
        family.add_metric(labels, value)
    return family


def _read_errors() -> list[Metric]:
    """Failures of midspan, those of this scrape too: they need no look at a registry."""
    return [_filled(ERRORS, list(ERRORS.read(NOTHING)))]


def _read_histogram(row: metrics.HistogramMetric, reading: Reading) -> HistogramMetricFamily:
    family = _histogram_family(row)
    for labels, histogram in sorted(_guarded(lambda: row.read(reading)), key=_first):
        family.add_metric(labels, _buckets(histogram), histogram.sum)
    return family


def _first(point: tuple[tuple[str, ...], Histogram]) -> tuple[str, ...]:
    return point[0]


def _buckets(histogram: Histogram) -> list[Bucket]:
    """Cumulative counts by upper bound, with the newest exemplar of each bucket that has one."""
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    buckets: list[Bucket] = []
    for index, (bound, count) in enumerate(zip(bounds, accumulate(histogram.counts), strict=True)):
        seen = histogram.exemplars.get(index)
        if seen is None:
            buckets.append((bound, count))
        else:
            trace = {"trace_id": seen.trace_id, "span_id": seen.span_id}
            buckets.append((bound, count, Exemplar(trace, seen.value, seen.at)))
    return buckets


def _guarded(read: Callable[[], Iterable[_T]]) -> list[_T]:
    """What `read` gives; nothing when it fails, so that one metric cannot take the page with it."""
    try:
        return list(read())
    except Exception:
        failures.report("prometheus")
        return []


def _build_info() -> InfoMetricFamily:
    versions = {"version": package_version(), "python": platform.python_version()}
    return InfoMetricFamily("midspan_build", "The version of midspan, and of the Python it runs on.", value=versions)
