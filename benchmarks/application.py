"""An application as the benchmarks need it: OpenAI's SDK, answered in memory, and OpenTelemetry's own SDK."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

STREAM_CHUNKS = 2_000
"""Chunks of one streamed answer."""

QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def cpu(work: Callable[[], object], count: int, scale: float) -> float:
    """CPU time of `work` divided by `count`, in seconds times `scale`; the garbage collector runs as ever."""
    gc.collect()
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / count * scale


def client(handler: Callable[[Any], Any], *, asynchronous: bool = False) -> Any:
    """The SDK over its own HTTP client, with a transport that answers in memory."""
    import httpx2
    import openai

    transport = httpx2.MockTransport(handler)
    if asynchronous:
        http = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="k", base_url="http://model.test/v1", http_client=http, max_retries=0)
    http = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="k", base_url="http://model.test/v1", http_client=http, max_retries=0)


def event_stream(chunks: int) -> bytes:
    """The body of a streamed chat completion."""
    row = (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
        b'"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
    )
    last = row.replace(b'"content":"word"', b"").replace(b"null", b'"stop"')
    return row * chunks + last + b"data: [DONE]\n\n"


def streaming(_: Any) -> Any:
    """Answers every request with a stream of 2,000 chunks."""
    import httpx2

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=event_stream(STREAM_CHUNKS))


def answering(_: Any) -> Any:
    """Answers every request with a chat completion."""
    import httpx2

    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return httpx2.Response(200, json=body)


def traced_provider() -> Any:
    """A tracer provider as applications have it: a batch processor, here with an exporter that throws away."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Discard(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=100_000))
    return provider


def metered_provider() -> Any:
    """A meter provider as applications have it: a periodic reader, here with an exporter that throws away."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader

    class Discard(MetricExporter):
        def export(self, metrics_data: Any, timeout_millis: float = 0, **_: Any) -> MetricExportResult:
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis: float = 0) -> bool:
            return True

        def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
            pass

    return MeterProvider([PeriodicExportingMetricReader(Discard())])


def switch_on(tracer_provider: Any = None) -> Any:
    """midspan with its default settings; returns the registry."""
    import midspan

    midspan.instrument(tracer_provider=tracer_provider)
    return midspan.get_progress_registry()
