"""What a forked child pushes over OpenTelemetry: its own, by connections of its own, whatever its parent was doing."""

from __future__ import annotations

import pytest

from tests.processes.programs import run

HELD = """
import threading, midspan
from opentelemetry import metrics
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader

parent, armed, reached, go_on = os.getpid(), threading.Event(), threading.Event(), threading.Event()
pushed = []

def hold(where):
    if where == sys.argv[1] and armed.is_set() and os.getpid() == parent:
        reached.set()
        go_on.wait(60)

class Exporter(MetricExporter):
    def export(self, metrics_data, timeout_millis=0, **_):
        hold("exports")
        pushed.extend(m.name for r in metrics_data.resource_metrics for s in r.scope_metrics for m in s.metrics)
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=0):
        return True
    def shutdown(self, timeout_millis=0, **_):
        pass

def observed(_):
    hold("collects")
    return [Observation(1)]

midspan.instrument(server="off")  # before the SDK's own threads begin in a child, ours has to be done there
provider = MeterProvider([PeriodicExportingMetricReader(Exporter(), export_interval_millis=20)])
metrics.set_meter_provider(provider)
metrics.get_meter("app").create_observable_gauge("app", [observed])
midspan.ProgressTracker("parents").start()
armed.set()
reached.wait(30)

def child():
    with midspan.ProgressTracker("childs"):
        provider.force_flush()
        assert "midspan.operation.active" in pushed, pushed
    provider.shutdown()

print(forked(child, within=15))
go_on.set()
"""


@pytest.mark.parametrize("parent", ["exports", "collects"])
def test_a_child_pushes_whatever_its_parent_was_in_the_middle_of(parent: str) -> None:
    assert run(HELD, parent, stderr=None) == "0\n"


CONNECTIONS = """
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        seen.append((self.path, self.client_address[1]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

seen, server = [], ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER"), "otlp"))
os.environ.update(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_METRIC_EXPORT_INTERVAL="600000")
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from midspan.runtime.wiring import boot, runtime
boot()  # as `midspan run` does it
import midspan
from opentelemetry import _logs, metrics, trace

def push():
    midspan.ProgressTracker("job").fail(KeyError("a failure is a log record as well"))
    runtime().recording.flush()
    for provider in (trace.get_tracer_provider(), _logs.get_logger_provider(), metrics.get_meter_provider()):
        provider.force_flush()

def taken(do):
    '''Which port each path was pushed from meanwhile.'''
    before = len(seen)
    assert do() in (None, 0)
    return dict(seen[before:])

parents = taken(push)
childs = taken(lambda: forked(push))
again = taken(push)
print(sorted(parents) == sorted(childs) == ["/v1/logs", "/v1/metrics", "/v1/traces"])
print(set(parents.values()) & set(childs.values()), again == parents)
"""


def test_no_exporter_of_a_child_writes_to_a_connection_of_its_parent() -> None:
    assert run(CONNECTIONS) == "True\nset() True\n"


TIMES = """
import midspan
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
midspan.instrument(server="off", meter_provider=(provider := MeterProvider([reader])))
of_app = provider.get_meter("app").create_histogram("app")

def job():
    with midspan.ProgressTracker("job"):
        of_app.record(1.0)

def counts():
    scopes = [scope for resource in reader.get_metrics_data().resource_metrics for scope in resource.scope_metrics]
    found = {m.name: m.data.data_points for scope in scopes for m in scope.metrics}
    return [found[name][0].count for name in ("midspan.operation.duration", "app")]

def child():
    job()
    print("child", counts())

job()
assert counts() == [1, 1]
forked(child)
print("parent", counts())
"""


def test_what_the_parent_has_recorded_is_not_pushed_again_by_the_child_and_the_apps_own_is_left_alone() -> None:
    assert run(TIMES) == "child [1, 2]\nparent [1, 1]\n"
