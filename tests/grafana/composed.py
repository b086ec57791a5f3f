"""collector.yaml in a real OpenTelemetry Collector, between the example and what Tempo and Loki take.

Not in `make test`, because no package registry has a Collector: `OTELCOL=/path/of/otelcol pytest
tests/grafana/composed.py`, with one that has the components of the file.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from grafana.make_files import HERE
from tests.collector.receiver import PREFIX, Receiver, Service, listening
from tests.environ import clean_environ
from tests.programs import free_port, running

Eventually = Callable[[Callable[[], object], float], None]
OTELCOL = os.environ.get("OTELCOL", "otelcol")
CONFIG = HERE / "collector.yaml"


@contextmanager
def loki(received: Receiver) -> Generator[int]:
    """The port on which log records are taken as Loki takes OTLP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/otlp/v1/logs":
                received.logs(ExportLogsServiceRequest.FromString(body), None)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def addresses(folder: Path, tempo: str, loki_port: int) -> tuple[Path, int]:
    """What differs where there is no network of containers: the addresses, and that it tells nothing of itself."""
    grpc, http = free_port(), free_port()
    protocols = {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}}
    config = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {
            "otlp/tempo": {"endpoint": tempo.removeprefix("http://")},
            "otlphttp/loki": {"endpoint": f"http://127.0.0.1:{loki_port}/otlp"},
        },
        "service": {"telemetry": {"metrics": {"level": "none"}}},
    }
    file = folder / "addresses.yaml"
    file.write_text(yaml.safe_dump(config))
    return file, http


@contextmanager
def example(endpoint: str) -> Generator[None]:
    """The application of compose.yaml, started as there."""
    given = yaml.safe_load((HERE / "compose.yaml").read_text("utf-8"))["services"]["app"]["environment"]
    here = {"MIDSPAN_METRICS": f"127.0.0.1:{free_port()}", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--", sys.executable]
    with subprocess.Popen([*command, str(HERE / "example.py")], env=clean_environ(**{**given, **here})) as app:
        try:
            yield
        finally:
            app.terminate()


def names(events: Service) -> list[str]:
    return [row.event_name.removeprefix(PREFIX) for row in events.logs]


def test_the_collector_accepts_its_configuration() -> None:
    done = subprocess.run([OTELCOL, "validate", f"--config={CONFIG}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_configuration_that_it_does_not_know_is_seen(tmp_path: Path) -> None:
    broken = tmp_path / "collector.yaml"
    broken.write_text(CONFIG.read_text("utf-8").replace("timeout: 1s", "timout: 1s"))
    done = subprocess.run([OTELCOL, "validate", f"--config={broken}"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "timout" in done.stderr


@pytest.mark.timeout(120)
def test_traces_come_to_tempo_and_log_events_to_loki(tmp_path: Path, eventually: Eventually) -> None:
    taken = Receiver()
    events = taken.service("example")
    with listening(taken) as tempo, loki(taken) as loki_port:
        file, http = addresses(tmp_path, tempo, loki_port)
        at = f"http://127.0.0.1:{http}"
        with running([OTELCOL, f"--config={CONFIG}", f"--config={file}"], at), example(at):
            eventually(lambda: "end" in names(events) and events.spans, 60.0)
    assert names(events)[0] == "start"
    assert {row.trace_id for row in events.logs} & {span.trace_id for span in events.spans}
