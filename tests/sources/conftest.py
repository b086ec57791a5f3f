"""A tracer provider of the test's own, with the mirror on it, wired to a registry as the runtime does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from midspan.sources.otel_spans import SpanMirror
from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry, no_span
from tests.exporting import exporter, nothing_complains, provider

__all__ = ["StartSpan", "exporter", "nothing_complains", "provider"]

StartSpan = Callable[..., trace.Span]


@pytest.fixture
def registry() -> Iterator[ProgressRegistry]:
    """The process's own, for the real clock that spans have too."""
    found = get_progress_registry()
    yield found
    found.foreign, found.attach = None, no_span


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
