"""The neighbours: how each is set up, attached and taken away again, as its documentation has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

Json = dict[str, Any]
UNSTREAMED = ("call", "async call", "raw", "responses", "embeddings", "refused", "async refused", "cut", "slow call")
STREAMED = (
    "stream", "async stream", "stream with usage", "stream cut", "stream closed", "slow stream", "stream helper",
    "responses stream",
)  # fmt: skip


class Neighbour:
    """One tool; `set_up` is what the application does before anybody is attached."""

    scope = ""
    """The beginning of its instrumentation scope."""
    leaves = True
    """Its own uninstrument takes its wrappers away."""
    made_afterwards: tuple[str, ...] = ()
    """Calls for which it makes its span when they are over: there is none to be found while they run."""
    ended_before_us: tuple[str, ...] = ()
    """Calls whose span it ends before the operation ends: what comes then cannot be written on it any more."""
    endings: ClassVar[dict[str, str]] = {}
    """Endings that its spans do not tell apart, where only they are seen."""

    def set_up(self, exporter: SpanExporter, reader: MetricReader) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([reader]))

    def attach(self) -> None:
        """The SDK that emits spans by itself needs nothing."""

    def detach(self) -> None:
        """Neither does it end."""


class OpenTelemetryGenAI(Neighbour):
    scope = "opentelemetry.instrumentation.genai.openai"
    # Ended with the last event, not with the stream.
    ended_before_us = ("responses stream",)

    def __init__(self) -> None:
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        self.instrumentor = OpenAIInstrumentor()

    def attach(self) -> None:
        self.instrumentor.instrument()

    def detach(self) -> None:
        self.instrumentor.uninstrument()


class OpenLLMetry(OpenTelemetryGenAI):
    scope = "opentelemetry.instrumentation.openai"
    leaves = False
    made_afterwards = ("responses", "responses stream")
    ended_before_us = ("stream closed",)

    def __init__(self) -> None:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        self.instrumentor = OpenAIInstrumentor()


class OpenInference(OpenTelemetryGenAI):
    scope = "openinference.instrumentation.openai"
    # Around the client's request only, inside of the method that is the operation.
    ended_before_us = UNSTREAMED

    def __init__(self) -> None:
        from openinference.instrumentation.openai import OpenAIInstrumentor

        self.instrumentor = OpenAIInstrumentor()


class Logfire(Neighbour):
    scope = "logfire.openai"
    # Around the client's request only; of a stream it is over when the headers have arrived.
    ended_before_us = (*UNSTREAMED, *STREAMED)
    attached: AbstractContextManager[None]

    def set_up(self, exporter: SpanExporter, reader: MetricReader) -> None:
        import logfire

        logfire.configure(
            send_to_logfire=False,
            console=False,
            additional_span_processors=[SimpleSpanProcessor(exporter)],
            metrics=logfire.MetricsOptions(additional_readers=[reader]),
        )

    def attach(self) -> None:
        import logfire

        self.attached = logfire.instrument_openai()

    def detach(self) -> None:
        with self.attached:
            pass


class Native(Neighbour):
    scope = "com.anthropic.sdk.python"
    endings: ClassVar[dict[str, str]] = {"stream closed": "completed"}


@dataclass(frozen=True)
class Found:
    """A neighbour by name, made when asked for: its packages are in its own environment only."""

    make: Callable[[], Neighbour]
    provider: str = "openai"


NEIGHBOURS = {
    "genai": Found(OpenTelemetryGenAI),
    "openllmetry": Found(OpenLLMetry),
    "openinference": Found(OpenInference),
    "logfire": Found(Logfire),
    "native": Found(Native, "anthropic"),
}
