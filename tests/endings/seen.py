"""Runs a call with and without midspan: what the application sees, and what midspan has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation, Status
from midspan.core.state import State
from midspan.telemetry.prometheus import MidspanCollector
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured, capture
from midspan.tracking.tracker import get_progress_registry, no_span
from tests.fakes.sdk import Case, Opened
from tests.fakes.sdks import sdk_of

GAUGE = "midspan_operation_active"


class Seen:
    """What midspan has seen: operations, and spans that have ended."""

    captured: Captured

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.scraped: list[float] = []

    def on_start(self, state: State) -> None:
        """Processor: scrape from the first instant on, so that there is something to linger."""
        self.scraped.append(shown_as_active())

    def on_update(self, state: State) -> None:
        """Processor: scrape in each stage."""
        self.scraped.append(shown_as_active())

    def on_end(self, state: State) -> None:
        """Processor: nothing, `the_only_operation` looks."""

    def has_stage(self, stage: str) -> bool:
        """True once the first operation is in this stage."""
        operations = self.captured.operations
        return bool(operations) and operations[0].stage == stage

    def the_only_operation(self) -> Operation:
        """Nothing is running any more, the gauge says so, and the one operation has one span, ended once."""
        operations = self.captured.operations
        assert len(operations) == 1
        assert get_progress_registry().running() == []
        assert (max(self.scraped), shown_as_active()) == (1, 0)
        operation = operations[0]
        assert [event.type for event in operation.history].count("end") == 1
        spans = self.exporter.get_finished_spans()
        assert [operation.span_id] == [format_span_id(span.context.span_id) for span in spans]
        failed = operation.status is Status.FAILED
        assert failed == (spans[0].status.status_code is StatusCode.ERROR)
        return operation


def shown_as_active() -> float:
    """What a scrape finds running, over all label sets and stages."""
    families = {family.name: family for family in MidspanCollector(get_progress_registry()).collect()}
    return sum(sample.value for sample in families[GAUGE].samples)


@contextmanager
def instrumented() -> Iterator[Seen]:
    """The instrumentation is on, and spans are made."""
    seen = Seen()
    registry = get_progress_registry()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen.exporter))
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.add_processor(seen)
    registry.attach = recorder.attach
    instrumentation.apply()
    try:
        with capture() as seen.captured:
            yield seen
    finally:
        instrumentation.undo()
        registry.attach = no_span
        registry.remove_processor(recorder)
        registry.remove_processor(seen)
        provider.shutdown()


def outcome(read: Callable[[], object]) -> object:
    """The result, or the exception by type and message."""
    try:
        return read()
    except (Exception, asyncio.CancelledError, KeyboardInterrupt, SystemExit) as error:
        return type(error), str(error)


def opened(case: Case, client: Any, model: str) -> Opened:
    """The call of a case, to be made."""
    return Opened(lambda: case.call(client, model), sdk_of(case).http_response)


def sync_run(case: Case, model: str, read: Callable[[Opened], object], url: str) -> object:
    def run() -> object:
        with sdk_of(case).sync_client(url) as client:
            return read(opened(case, client, model))

    return outcome(run)


def async_run(case: Case, model: str, read: Callable[[Opened], Awaitable[object]], url: str) -> object:
    async_client = sdk_of(case).async_client
    assert async_client is not None

    async def run() -> object:
        async with async_client(url) as client:
            return await read(opened(case, client, model))

    return outcome(lambda: asyncio.run(run()))


def check_error(operation: Operation, case: Case, seen: Any) -> None:
    """The operation failed with the exception that the application got; a server's answer is told by its codes."""
    kind, message = seen
    assert operation.error is not None
    name = f"{kind.__module__}.{kind.__qualname__}"
    assert operation.error.type == dict(case.turned).get(name, name)
    assert operation.error.message == sdk_of(case).told.get(message.partition(" - {")[0], message)
