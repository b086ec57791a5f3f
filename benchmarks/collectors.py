"""What a call waits for a collector: one that works, one that is slow, one that hangs, and one that is not there.

Wall time, because waiting costs no CPU: the median and the 99th percentile of single calls, while traces, logs and
metrics are exported every tenth of a second. Each application is a process of its own; the kinds take turns.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.application import QUESTION, answering, client, switch_on

ROUNDS = 3
CALLS = 1_500
KINDS = ("none", "works", "is slow (0.5 s)", "hangs", "is not there")


def main() -> int:
    """Print the figures of every kind as JSON."""
    raw: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in KINDS:
            with collector(kind) as endpoint:
                raw[kind].append(measured(endpoint))
        print(f"collectors: round {number + 1} of {ROUNDS}", file=sys.stderr)
    print(json.dumps({kind: {key: [row[key] for row in rows] for key in rows[0]} for kind, rows in raw.items()}))
    return 0


def table(figures: dict[str, Any]) -> str:
    """The lowest of the rounds as a Markdown table: what else runs on the machine only adds."""
    rows = ["| the collector | median of a call | 99th percentile | exports begun |", "|---|---|---|---|"]
    for kind, values in figures.items():
        middle, high, begun = (min(values[key]) for key in ("median", "high", "exports"))
        rows.append(f"| {kind} | {middle:.0f} µs | {high:.0f} µs | {begun:.0f} |")
    return "\n".join(rows)


# --- the far end ----------------------------------------------------------------------------------


@contextmanager
def collector(kind: str) -> Generator[str]:
    """The endpoint of such a collector; empty for none."""
    if kind in ("none", "is not there"):
        yield "" if kind == "none" else f"http://127.0.0.1:{unused_port()}"
        return
    over = threading.Event()
    waits = {"is slow (0.5 s)": 0.5, "hangs": 60.0}.get(kind, 0.0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(over, waits))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def handler(over: threading.Event, waits: float) -> type[BaseHTTPRequestHandler]:
    """Takes an export, and answers after so many seconds."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            over.wait(waits)
            with suppress(OSError):  # the application has ended
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
            pass

    return Handler


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# --- the application --------------------------------------------------------------------------------


def measured(endpoint: str) -> dict[str, float]:
    """The figures of one application that exports there."""
    command = [sys.executable, "-m", "benchmarks.collectors", "app", endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def app(endpoint: str) -> None:
    """Make calls, print how long they took in µs, and leave at once: the exporters' last attempts are not awaited."""
    exports = exporting(endpoint) if endpoint else []
    switch_on()
    ask = asking()
    for _ in range(50):
        ask()
    times: list[float] = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1e6)
    high = statistics.quantiles(times, n=100)[98]
    print(json.dumps({"median": statistics.median(times), "high": high, "exports": len(exports)}), flush=True)
    os._exit(0)


def asking() -> Callable[[], None]:
    """A call through the whole SDK; each tenth is refused, because only what fails or lasts is told as a log record."""
    import httpx2
    import openai

    turns = itertools.cycle(range(10))

    def answer(request: Any) -> Any:
        return answering(request) if next(turns) else httpx2.Response(400, json={"error": {"message": "no"}})

    openai_client = client(answer)

    def ask() -> None:
        with suppress(openai.BadRequestError):
            openai_client.chat.completions.create(**QUESTION)

    return ask


def exporting(endpoint: str) -> list[str]:
    """Export all three signals; the list has an entry for each export that has begun."""
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    begun: list[str] = []
    spans = noted(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"), begun)
    records = noted(OTLPLogExporter(endpoint=f"{endpoint}/v1/logs"), begun)
    points = noted(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"), begun)
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=100))
    loggers.add_log_record_processor(BatchLogRecordProcessor(records, schedule_delay_millis=100))
    trace.set_tracer_provider(tracers)
    _logs.set_logger_provider(loggers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(points, export_interval_millis=100)]))
    return begun


def noted(exporter: Any, begun: list[str]) -> Any:
    """The exporter, whose exports are noted when they begin."""
    export = exporter.export

    def noting(*arguments: Any, **options: Any) -> Any:
        begun.append(type(exporter).__name__)
        return export(*arguments, **options)

    exporter.export = noting
    return exporter


if __name__ == "__main__":
    sys.exit(app(sys.argv[2]) if sys.argv[1:2] == ["app"] else main())
