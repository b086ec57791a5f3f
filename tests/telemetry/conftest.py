"""A tracer provider of the test's own, and the promise that nothing of ours makes OpenTelemetry complain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.instrumenting import CallTracker, Counts
from midspan.tracking.tracker import ProgressRegistry

MakeCall = Callable[..., CallTracker]


@pytest.fixture(autouse=True)
def nothing_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test of spans may leave a WARNING of OpenTelemetry in the application's log."""
    yield
    loud = [
        r for r in caplog.get_records("call") if r.name.startswith("opentelemetry") and r.levelno >= logging.WARNING
    ]
    assert [record.getMessage() for record in loud] == []


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    yield made
    made.shutdown()


@pytest.fixture
def recorder(registry: ProgressRegistry, provider: TracerProvider) -> SpanRecorder:
    """Wired as the runtime does it."""
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    return recorder


@pytest.fixture
def make_call(registry: ProgressRegistry) -> MakeCall:
    """Registers an instrumented call whose span is still to be decided."""

    def make(model: str = "gpt-x", **attributes: object) -> CallTracker:
        tracker = CallTracker(
            None, "llm_request", name="chat", provider="openai", model=model, span_deferred=True, registry=registry
        )
        tracker.state.counts = tracker.counts = Counts()
        tracker.state.attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, **attributes}
        return tracker

    return make
