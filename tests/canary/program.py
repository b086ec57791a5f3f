"""An application whose prompts are known, run under `midspan run`: prints what each surface of midspan shows of them.

program.py URL   (of a fake OpenAI server)
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import openai
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import midspan
from midspan.runtime.wiring import runtime

ASKED, REFUSED = "canary-asked-7f3a", "canary-refused-91c4"
PATHS = (
    "/v1/operations", "/v1/statistics", "/v1/export?format=ndjson", "/v1/export?format=csv", "/metrics",
    "/progress/operations", "/progress/summary", "/api/monitoring/sessions/recent", "/api/monitoring/statistics",
)  # fmt: skip
OLD_ENOUGH = 1.1
"""Seconds: a younger operation emits no events unless it fails."""

spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()


def set_up() -> None:
    """OpenTelemetry as an application sets it up."""
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    trace.set_tracer_provider(tracers)
    _logs.set_logger_provider(loggers)
    metrics.set_meter_provider(MeterProvider([reader]))


@midspan.track_llm_progress
def answer(client: openai.OpenAI, prompt: str, model: str) -> str:
    """What the model says, in an operation around the call."""
    done = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return str(done.choices[0].message.content)


def use(client: openai.OpenAI) -> None:
    """Calls of every kind, that are answered and refused."""
    slow = client.responses.create(model="parrot", input=ASKED, instructions=ASKED, stream=True)
    begun = time.monotonic()
    next(iter(slow))
    while time.monotonic() - begun < OLD_ENOUGH:
        time.sleep(0.02)
    list(slow)
    answer(client, ASKED, "parrot")
    list(client.chat.completions.create(model="parrot", messages=[{"role": "user", "content": ASKED}], stream=True))
    client.completions.create(model="parrot", prompt=ASKED)
    client.embeddings.create(model="ok", input=ASKED)
    with suppress(openai.BadRequestError):
        answer(client, REFUSED, "echoing")
    with suppress(RuntimeError), midspan.ProgressTracker(name="around"):
        give_up(client)


def give_up(client: openai.OpenAI) -> None:
    """An error of the application's own, which repeats the server's."""
    try:
        client.chat.completions.create(model="echoing", messages=[{"role": "user", "content": REFUSED}])
    except openai.BadRequestError as error:
        raise RuntimeError(f"gave up: {error}") from error


def shown() -> Iterator[tuple[str, str]]:
    """Surface → what it shows."""
    yield "spans", "".join(span.to_json() for span in spans.get_finished_spans())
    yield "logs", "".join(record.to_json() for record in logs.get_finished_logs())
    data = reader.get_metrics_data()
    yield "otel metrics", "" if data is None else data.to_json()
    server = runtime().serving.server
    url = "" if server is None else server.url
    for path in PATHS:
        yield path, fetch(url + path)
    with urllib.request.urlopen(f"{url}/v1/stream", timeout=20) as stream:
        yield "/v1/stream", next(line.decode() for line in stream if line.startswith(b"data:"))
    tasks = json.loads(fetch(f"{url}/v1/operations"))["operations"]
    for each in tasks:
        yield "/v1/operations/{id}", fetch(f"{url}/v1/operations/{each['operation_id']}")


def fetch(url: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=20) as found:
        return found.read().decode()


def main() -> None:
    """Use everything, and print what is shown of it."""
    set_up()
    with openai.OpenAI(api_key="x", base_url=sys.argv[1], max_retries=0) as client:
        use(client)
    print(json.dumps(list(shown())))


if __name__ == "__main__":
    main()
