"""An application with midspan and a neighbour: `python -m tests.neighbours.app NEIGHBOUR PLAN` prints what came of it.

A plan is a list of words: `ours` and `theirs` attach, `-ours` and `-theirs` take away; `mirror` attaches ours without
patching the SDK, `exporter` only what records finished spans; `use` makes every kind of call, `probe` a few of them.
Each call is reported with what the application saw, the spans, and the operations.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id

import midspan
from midspan.core import failures
from midspan.telemetry.exporter import OperationExporter
from midspan.testing import Captured, capture
from tests.neighbours.calls import USES, Calls
from tests.neighbours.neighbours import NEIGHBOURS, Json

PROBES = ("call", "async call", "stream")


@dataclass
class App:
    """One process's findings."""

    name: str
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    log: list[str] = field(default_factory=list)
    uses: list[Json] = field(default_factory=list)

    def run(self, plan: list[str]) -> Json:
        neighbour = NEIGHBOURS[self.name].make()
        neighbour.set_up(self.exporter, self.reader)
        with USES[NEIGHBOURS[self.name].provider]() as calls, capture() as captured:
            before = calls.targets()
            words: dict[str, Callable[[], object]] = {
                "ours": midspan.instrument,
                "-ours": midspan.uninstrument,
                "mirror": lambda: midspan.instrument(providers=["-openai"]),
                "exporter": record_finished,
                "theirs": neighbour.attach,
                "-theirs": neighbour.detach,
                "use": lambda: self.uses.append(self.use(calls, captured, calls.names())),
                "probe": lambda: self.uses.append(self.use(calls, captured, PROBES)),
            }
            for word in plan:
                words[word]()
            restored = before == calls.targets()
        return {"uses": self.uses, "log": self.log, "restored": restored}

    def use(self, calls: Calls, captured: Captured, names: tuple[str, ...]) -> Json:
        made = {name: self.one(calls.step(name), captured) for name in names}
        return {"calls": made, "metrics": self.metrics()}

    def one(self, step: Callable[[], object], captured: Captured) -> Json:
        known = {operation.operation_id for operation in captured.operations}
        outcome = seen(step)
        gc.collect()
        operations = [each for each in captured.operations if each.operation_id not in known]
        spans = [told(span) for span in self.exporter.get_finished_spans()]
        self.exporter.clear()
        keys = ("operation_id", "status", "span_id", "trace_id", "model", "provider")
        return {
            "outcome": outcome,
            "spans": spans,
            "operations": [{key: getattr(each, key) for key in keys} for each in operations],
        }

    def metrics(self) -> Json:
        """How many times each instrument but `midspan.…` was recorded on, by scope and name."""
        data = self.reader.get_metrics_data()
        counts: dict[str, dict[str, float]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                found = {metric.name: recorded(metric) for metric in scope.metrics}
                counts[scope.scope.name] = {
                    name: count for name, count in found.items() if not name.startswith("midspan.")
                }
        return {name: found for name, found in counts.items() if found}


def recorded(metric: Metric) -> float:
    return sum(getattr(point, "count", 1) for point in metric.data.data_points)


def record_finished() -> None:
    """What `OTEL_TRACES_EXPORTER=midspan` brings, with nothing else of midspan switched on."""
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(OperationExporter()))


def seen(step: Callable[[], object]) -> object:
    """What the application got, or the exception by type and message."""
    try:
        result = step()
        return asyncio.run(result) if inspect.iscoroutine(result) else result
    except Exception as error:
        return [type(error).__name__, str(error)]


def told(span: ReadableSpan) -> Json:
    scope = span.instrumentation_scope
    context = span.get_span_context()
    return {
        "scope": scope.name if scope else "",
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "span_id": format_span_id(context.span_id) if context else "",
        "attributes": {key: str(value) for key, value in (span.attributes or {}).items()},
        "events": [event.name for event in span.events],
    }


class Heard(logging.Handler):
    """Keeps warnings and worse."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.into = into

    def emit(self, record: logging.LogRecord) -> None:
        self.into.append(f"{record.name}: {record.getMessage()}")


def main(name: str, plan: str) -> None:
    failures.raising = True
    app = App(name)
    logging.getLogger().addHandler(Heard(app.log))
    found: Any = app.run(plan.split())
    print(json.dumps(found, default=str), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
