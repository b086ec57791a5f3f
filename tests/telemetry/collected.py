"""What a meter provider has collected, in a form that tests can compare."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, Metric, Sum
from prometheus_client.parser import text_string_to_metric_families

from midspan.telemetry.prometheus import MetricsPage, exposed

Points = dict[tuple[str, frozenset[tuple[str, str]]], float]


def metrics(reader: InMemoryMetricReader) -> dict[str, Metric]:
    """Collect now: every metric of midspan's scope by its name."""
    data = reader.get_metrics_data()
    resources = [] if data is None else data.resource_metrics
    scopes = [scope for resource in resources for scope in resource.scope_metrics if scope.scope.name == "midspan"]
    return {metric.name: metric for scope in scopes for metric in scope.metrics}


def points(reader: InMemoryMetricReader, name: str) -> list[Any]:
    """The points of one metric; none when it has not been reported."""
    found = metrics(reader).get(name)
    return [] if found is None else list(found.data.data_points)


def values(reader: InMemoryMetricReader, name: str, *labels: str) -> dict[tuple[object, ...], float]:
    """Its values by the given attributes."""
    return {tuple(p.attributes.get(label) for label in labels): p.value for p in points(reader, name)}


def pushed(reader: InMemoryMetricReader) -> Points:
    """Every number, under the name and the labels that Prometheus gives it."""
    return {
        (name, frozenset((exposed(key), str(value)) for key, value in labels.items())): number
        for metric in metrics(reader).values()
        for name, labels, number in _samples(metric)
    }


def _samples(metric: Metric) -> Iterator[tuple[str, dict[str, object], float]]:
    name = exposed(metric.name, metric.unit or "")
    suffix = "_total" if isinstance(metric.data, Sum) and metric.data.is_monotonic else ""
    for point in metric.data.data_points:
        labels = dict(point.attributes or {})
        if not isinstance(metric.data, Histogram):
            yield name + suffix, labels, float(point.value)
            continue
        bounds = [*(str(float(bound)) for bound in point.explicit_bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
            yield f"{name}_bucket", {**labels, "le": bound}, float(count)
        yield f"{name}_sum", labels, float(point.sum)
        yield f"{name}_count", labels, float(point.count)


def pulled(page: MetricsPage) -> Points:
    """The same of the Prometheus page, without what is there alone."""
    return {
        (sample.name, frozenset((key, value) for key, value in sample.labels.items() if value)): sample.value
        for family in text_string_to_metric_families(page()[0].decode())
        for sample in family.samples
        if sample.name.startswith("midspan_") and not sample.name.startswith(("midspan_live_", "midspan_build_"))
    }
