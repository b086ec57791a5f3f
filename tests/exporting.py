"""Fixtures for tests of spans: a tracer provider of the test's own, and nothing that OpenTelemetry complains of."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


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
