"""A tracer provider of the test's own, and the promise that nothing of ours makes OpenTelemetry complain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import TracerProvider

from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.instrumenting import CallTracker, Counts
from midspan.tracking.tracker import ProgressRegistry
from tests.exporting import exporter, nothing_complains, provider

__all__ = ["MakeCall", "exporter", "nothing_complains", "provider"]

MakeCall = Callable[..., CallTracker]


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
