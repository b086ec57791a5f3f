"""How each tool is switched on, as its own documentation has it, and where what it sends ends up: nowhere.

Content capture is left as each ships it. `attach` is what an application would write; it is timed as "switching on".
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON


class Discard(SpanExporter):
    """Counts the spans of LLM calls, and forgets them."""

    def __init__(self) -> None:
        self.exported = 0

    def export(self, spans: Any) -> SpanExportResult:
        """Take a batch."""
        self.exported += len(spans)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept."""
        return True


class DiscardMetrics(MetricExporter):
    """Forgets what it is told."""

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Take a collection."""
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is held."""


@dataclass
class Telemetry:
    """What an application has set up before any tool comes: providers with batch processors."""

    sampled: bool = True
    spans: Discard = field(default_factory=Discard)
    flush: Callable[[], object] = bool

    def set_up(self) -> None:
        """Set the global providers."""
        provider = TracerProvider(sampler=DEFAULT_ON if self.sampled else ALWAYS_OFF)
        provider.add_span_processor(BatchSpanProcessor(self.spans))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(DiscardMetrics())]))
        self.flush = provider.force_flush


def _none(_: Telemetry) -> None:
    """The SDK alone."""


def _midspan(_: Telemetry) -> None:
    import midspan

    midspan.instrument()


def _genai(_: Telemetry) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def _openllmetry(_: Telemetry) -> None:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def _openinference(_: Telemetry) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def _openlit(_: Telemetry) -> None:
    import openlit

    # Given no file, it fetches one from the network.
    prices = Path(tempfile.mkdtemp()) / "prices.json"
    prices.write_text('{"chat": {"m": {"promptPrice": 0.001, "completionPrice": 0.002}}}')
    openlit.init(pricing_json=str(prices))


def _logfire(telemetry: Telemetry) -> None:
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        sampling=logfire.SamplingOptions(head=1.0 if telemetry.sampled else 0.0),
        additional_span_processors=[BatchSpanProcessor(telemetry.spans)],
        metrics=logfire.MetricsOptions(additional_readers=[PeriodicExportingMetricReader(DiscardMetrics())]),
    )
    telemetry.flush = logfire.force_flush
    logfire.instrument_openai()


def _langfuse(telemetry: Telemetry) -> None:
    from langfuse import Langfuse

    client = Langfuse(
        public_key="pk-lf-0",
        secret_key="sk-lf-0",
        base_url="http://127.0.0.1:9",
        span_exporter=telemetry.spans,
        sample_rate=1.0 if telemetry.sampled else 0.0,
    )
    telemetry.flush = client.flush
    import langfuse.openai  # noqa: F401 - patches the SDK


@dataclass(frozen=True)
class Peer:
    """One row: its name in the table, the environment of its baseline, and how it is switched on."""

    name: str
    baseline: str
    attach: Callable[[Telemetry], None]
    brings_providers: bool = False
    """It sets up OpenTelemetry's providers by itself, as part of being switched on."""
    environment: str | None = None
    """Whose packages it runs with, if it has none of its own."""
    variables: tuple[tuple[str, str], ...] = ()
    memory_only: bool = False


PEERS = {
    "none": Peer("nothing", "none", _none),
    "none2": Peer("nothing (openai 2.54)", "none2", _none),
    "midspan": Peer("**midspan**", "none", _midspan),
    # It keeps what has ended, for its API: with a history that the warm-up fills, growth would be a leak.
    "midspan-500": Peer(
        "**midspan**, a history of 500",
        "none",
        _midspan,
        environment="midspan",
        variables=(("MIDSPAN_MAX_OPERATIONS", "500"),),
        memory_only=True,
    ),
    "genai": Peer("OpenTelemetry GenAI", "none", _genai),
    "openllmetry": Peer("OpenLLMetry", "none", _openllmetry),
    "openinference": Peer("OpenInference", "none", _openinference),
    "openlit": Peer("OpenLIT (openai 2.54)", "none2", _openlit),
    "logfire": Peer("Logfire", "none", _logfire, brings_providers=True),
    "langfuse": Peer("Langfuse", "none", _langfuse, brings_providers=True),
}
