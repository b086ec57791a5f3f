"""A process that lives long: an hour's traffic of a million operations in a minute or two, and calls through the SDK.

The clock is an argument, so that the hour passes as fast as the work is done. Every label is junk on purpose: ten
thousand models, a thousand names, error types and stages beyond every limit. What is printed is what the process has
grown to: resident memory on the way and at the end, samples, points, and the time of a scrape.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

OPERATIONS: Final = 1_000_000
SECONDS: Final = 3_600.0
RUNNING: Final = 500
SCRAPE_EVERY: Final = 60.0
LOOKS: Final = {"a_tenth": 0.1, "a_half": 0.5}
CALLS: Final = {"calls": 10_000, "streams": 2_000, "responses": 5_000}

RESPONSE_USAGE: Final = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}

Figures = dict[str, float]


def main() -> int:
    """Run both parts and print one JSON object of figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--operations", type=int, default=OPERATIONS, help="how many of them make the hour")
    parser.add_argument("--calls", type=float, default=1.0, help="share of the 17,000 calls through the SDK")
    arguments = parser.parse_args()
    figures = {**an_hour(arguments.operations), **through_the_sdk(arguments.calls)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


def table(figures: Figures) -> str:
    """The figures as a Markdown table."""
    rows = [f"| {name.replace('_', ' ')} | {value:,.2f} |" for name, value in figures.items()]
    return "\n".join(["| soak | |", "|---|---|", *rows])


def resident() -> float:
    """MiB of memory that the process has, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- an hour of operations ----------------------------------------------------------------------


class Hour:
    """A registry on a clock of its own, with spans, span events, metrics and a page that is scraped."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        from benchmarks.application import traced_provider
        from midspan.telemetry.metering import Metering
        from midspan.telemetry.prometheus import MetricsPage
        from midspan.telemetry.spans import SpanRecorder
        from midspan.testing import FakeClock
        from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

        self.clock = FakeClock()
        self.registry = ProgressRegistry(clock=self.clock)
        self._provider = traced_provider()
        self.registry.add_processor(SpanRecorder(self.registry, tracer_provider=self._provider))
        self.reader = InMemoryMetricReader()
        self._metering = Metering(self.registry)
        self._metering.attach(MeterProvider([self.reader], shutdown_on_exit=False))
        self.page = MetricsPage(self.registry)
        self.scrapes: list[float] = []
        self._running: list[ProgressTracker] = []
        self._errors = [type(f"Error{number}", (Exception,), {})("no") for number in range(200)]
        self._begun = self._beaten = self._scraped = self.clock.now

    def operation(self, number: int, share: float) -> None:
        """One operation begins, and the oldest of those running ends. `share` of the hour has passed."""
        tracker = self.registry.create_tracker(
            None,
            "llm_request" if number % 3 else f"type-{number % 40}",
            3,
            name=f"name-{number % 1_000}",
            provider=f"provider-{number % 7}",
            model=f"model-{number % 10_000}",
            span_deferred=number % 3 != 0,
        )
        tracker.update(1, stage=f"stage-{number % 100}" if number % 5 else "streaming_response")
        self._running.append(tracker)
        if len(self._running) > RUNNING:
            self._end(self._running.pop(0), number)
        self.clock.now = self._begun + share * SECONDS
        self._look_around()

    def _end(self, tracker: Any, number: int) -> None:
        tracker.update(2, "nearly there")
        if number % 20:
            tracker.complete()
        else:
            tracker.fail(self._errors[number // 20 % len(self._errors)])

    def _look_around(self) -> None:
        """The pulse beats each second; Prometheus and the reader of OpenTelemetry come by now and then."""
        if self.clock.now - self._beaten >= 1.0:
            self._beaten = self.clock.now
            self.registry.pulse(self.clock.now)
        if self.clock.now - self._scraped >= SCRAPE_EVERY:
            self._scraped = self.clock.now
            begun = time.process_time()
            self.page("text/plain")
            self.scrapes.append((time.process_time() - begun) * 1e3)
            self.reader.get_metrics_data()

    def size(self) -> float:
        """MiB of the process, without the spans that wait for their exporter."""
        self._provider.force_flush()
        return resident()

    def points(self) -> tuple[int, int]:
        """(points of the metric that has most, points by which the SDK says that it could not keep them apart)."""
        data: Any = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
        points = [list(metric.data.data_points) for metric in metrics]
        overflow = sum("otel.metric.overflow" in (point.attributes or {}) for each in points for point in each)
        return max(len(each) for each in points), overflow


def an_hour(operations: int) -> Figures:
    """A million operations, some 500 of them at once."""
    hour, sizes = Hour(), dict[str, float]()
    looks = {int(operations * share): f"resident_mib_after_{name}" for name, share in LOOKS.items()}
    begun = time.process_time()
    for number in range(operations):
        hour.operation(number, number / operations)
        if number in looks:
            sizes[looks[number]] = hour.size()
    spent = time.process_time() - begun
    most, overflow = hour.points()
    tenth = max(1, len(hour.scrapes) // 10)
    return {
        "operations": operations,
        "cpu_seconds": spent,
        **sizes,
        "resident_mib_at_the_end": hour.size(),
        "operations_kept": len(hour.registry.retention),
        "prometheus_samples": sum(not line.startswith(b"#") for line in hour.page("text/plain")[0].splitlines()),
        "points_of_the_largest_metric": most,
        "overflow_points": overflow,
        "scrape_ms_in_the_first_tenth": statistics.median(hour.scrapes[:tenth]),
        "scrape_ms_in_the_last_tenth": statistics.median(hour.scrapes[-tenth:]),
    }


# --- calls through the SDK ----------------------------------------------------------------------


def through_the_sdk(scale: float) -> Figures:
    """Calls, streams and responses, each with an id of its own, once until as much is kept as may be, and once more."""
    from benchmarks import application

    provider = application.traced_provider()
    application.switch_on(provider)
    sizes: list[float] = []
    for _ in range(2):
        for kind, count in CALLS.items():
            ask = _asks(kind)
            for _ in range(int(count * scale)):
                ask()
        provider.force_flush()
        sizes.append(resident())
    return {"calls_through_the_sdk": sum(CALLS.values()) * scale, "mib_more_after_as_many_again": sizes[1] - sizes[0]}


def _asks(kind: str) -> Callable[[], object]:
    from benchmarks import application

    client = application.client(_answer)
    question = application.QUESTION
    if kind == "streams":
        return lambda: list(client.chat.completions.create(**question, stream=True))
    if kind == "responses":
        return lambda: client.responses.create(model="m", input="hello")
    return lambda: client.chat.completions.create(**question)


_answered = 0


def _answer(request: Any) -> Any:
    """Whatever was asked for, with an id that nobody else has."""
    import httpx2

    from benchmarks import application

    global _answered
    _answered += 1
    if b'"stream":true' in request.content:
        body = application.event_stream(5).replace(b'"id":"c"', b'"id":"c%d"' % _answered)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    fields: dict[str, Any] = application.answering(request).json()
    if request.url.path.endswith("/responses"):
        fields = {"object": "response", "status": "completed", "model": "m", "output": [], "usage": RESPONSE_USAGE}
    return httpx2.Response(200, json={**fields, "id": f"c{_answered}"})


if __name__ == "__main__":
    sys.exit(main())
