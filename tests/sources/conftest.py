"""A tracer provider of the test's own, with the mirror on it, wired to a registry as the runtime does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.sources.otel_spans import SpanMirror
from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry, no_span

StartSpan = Callable[..., trace.Span]


@pytest.fixture(autouse=True)
def nothing_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The mirror may not leave a WARNING of OpenTelemetry in the application's log."""
    yield
    loud = [
        r for r in caplog.get_records("call") if r.name.startswith("opentelemetry") and r.levelno >= logging.WARNING
    ]
    assert [record.getMessage() for record in loud] == []


@pytest.fixture
def registry() -> Iterator[ProgressRegistry]:
    """The process's own, for the real clock that spans have too."""
    found = get_progress_registry()
    yield found
    found.foreign, found.attach = None, no_span


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
def mirror(registry: ProgressRegistry, provider: TracerProvider) -> SpanMirror:
    made = registry.foreign = SpanMirror(registry)
    provider.add_span_processor(made)
    return made


@pytest.fixture
def recorder(registry: ProgressRegistry, provider: TracerProvider) -> Iterator[SpanRecorder]:
    made = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(made)
    registry.attach = made.attach
    yield made
    registry.remove_processor(made)


@pytest.fixture
def start(provider: TracerProvider) -> StartSpan:
    """Starts a span as another tool does: `start(name, attributes, inside=span)`."""

    def started(
        name: str = "chat m", attributes: Mapping[str, str] | None = None, inside: trace.Span | None = None
    ) -> trace.Span:
        context = None if inside is None else trace.set_span_in_context(inside)
        return provider.get_tracer("theirs").start_span(name, context, attributes=attributes)

    return started
