"""What a collector gets of an operation that still runs, and still has when its process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

Eventually = Callable[[Callable[[], object], float], None]

PROGRAM = """
import os, sys
import midspan
with midspan.ProgressTracker("op-1", name="long", total_steps=10) as tracker:
    tracker.state.created_at -= 10  # an operation that the pulse does not wait for
    tracker.update(3)
    print(os.getpid(), flush=True)
    sys.stdin.readline()
"""


class Collector:
    """Receives OTLP over HTTP, as any collector does."""

    def __init__(self) -> None:
        self.logs: list[LogRecord] = []
        self.spans: list[str] = []
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/logs":
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                for scope in resource.scope_logs:
                    self.logs += [record for record in scope.log_records if scope.scope.name == "midspan"]
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += [span.span_id.hex() for span in scope.spans]

    @property
    def names(self) -> list[str]:
        return [record.event_name.removeprefix("midspan.operation.") for record in self.logs]

    def environ(self) -> dict[str, str]:
        """What an app is configured with to export to it."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def app(collector: Collector) -> Iterator[subprocess.Popen[str]]:
    """An operation that has come to step 3, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "midspan",
        "run",
        "--quiet",
        "--server",
        "off",
        "--",
        sys.executable,
        "-c",
        PROGRAM,
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **collector.environ()},
    ) as process:
        yield process
        process.kill()


def app_pid(app: subprocess.Popen[str]) -> int:
    assert app.stdout is not None
    return int(app.stdout.readline())


def test_a_collector_has_the_start_and_an_update_while_the_span_is_open_and_after_kill_9(
    collector: Collector, app: subprocess.Popen[str], eventually: Eventually
) -> None:
    pid = app_pid(app)
    eventually(lambda: collector.names == ["start", "update"], 20.0)
    assert collector.spans == []
    os.kill(pid, signal.SIGKILL)
    app.communicate(timeout=20)
    assert (collector.names, collector.spans) == (["start", "update"], [])
    start, update = collector.logs
    assert start.trace_id == update.trace_id != b""
    assert start.time_unix_nano < update.time_unix_nano <= update.observed_time_unix_nano
    assert {each.key: each.value for each in update.attributes}["midspan.progress"].double_value == 0.3


def test_a_collector_has_the_end_and_the_span_of_an_operation_that_ends_with_its_process(
    collector: Collector, app: subprocess.Popen[str], eventually: Eventually
) -> None:
    app_pid(app)
    eventually(lambda: collector.names == ["start", "update"], 20.0)
    app.communicate("\n", timeout=20)
    assert collector.names == ["start", "update", "end"]
    assert collector.spans == [collector.logs[-1].span_id.hex()]
