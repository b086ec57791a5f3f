"""The far end of OTLP: takes what comes by gRPC, through the official stubs, in the order in which it comes."""

# The stubs are generated without types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_stubs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_stubs
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_stubs
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PREFIX = "midspan.operation."
Attributes = dict[str, Any]


@dataclass
class Service:
    """What one application has sent: all spans and log records of midspan, and the newest state of each metric.

    `arrivals` are the names of spans and log records in the order in which they came; `exemplars` are those of all
    exports by metric, because the SDK sends each of them once.
    """

    spans: list[Span] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)
    exemplars: dict[str, list[Exemplar]] = field(default_factory=lambda: defaultdict(list))
    arrivals: list[str] = field(default_factory=list)

    def events(self, model: str) -> list[LogRecord]:
        """The log records of the calls to `model`, as they came."""
        return [record for record in self.logs if attributes(record.attributes)["gen_ai.request.model"] == model]

    def event_names(self, model: str) -> list[str]:
        """Their names: `start`, `update` and so on."""
        return [record.event_name.removeprefix(PREFIX) for record in self.events(model)]


def attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Key → value, the value as Python has it."""
    return {pair.key: _value(pair.value) for pair in pairs}


def points(metric: Metric) -> list[Any]:
    """Its data points, of whatever kind it is."""
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    found: Any = None if kind is None else getattr(value, kind)
    return [_value(each) for each in found.values] if kind == "array_value" else found


class Receiver:
    """Takes from any number of services; `instances` has the same by the id that each process has of its own.

    After `hold` it takes requests, counts them as `held`, and does not answer them until `release`. `delay` is how many
    seconds it lets everybody wait.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self._services: dict[str, Service] = {}
        self.instances: dict[str, Service] = {}
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self.held = 0

    def hold(self) -> None:
        """Hang from now on."""
        self._open.clear()

    def release(self) -> None:
        """Answer again, what hangs too."""
        self._open.set()

    def service(self, name: str) -> Service:
        """What has come of the application that calls itself `name` (OTEL_SERVICE_NAME)."""
        with self._lock:
            return self._services.setdefault(name, Service())

    def _wait(self) -> None:
        if self.delay:
            threading.Event().wait(self.delay)
        if not self._open.is_set():
            self.held += 1
            self._open.wait(60)

    def _senders(self, resource: Resource) -> list[Service]:
        told = attributes(resource.attributes)
        with self._lock:
            instance = self.instances.setdefault(str(told.get("service.instance.id")), Service())
        return [self.service(told["service.name"]), instance]

    def traces(self, request: trace_service.ExportTraceServiceRequest, _: Any) -> Any:
        self._wait()
        for of_resource in request.resource_spans:
            spans = [span for scope in of_resource.scope_spans for span in scope.spans]
            for service in self._senders(of_resource.resource):
                service.spans += spans
                service.arrivals += [span.name for span in spans]
        return trace_service.ExportTraceServiceResponse()

    def logs(self, request: logs_service.ExportLogsServiceRequest, _: Any) -> Any:
        self._wait()
        for of_resource in request.resource_logs:
            records = [
                row for scope in of_resource.scope_logs for row in scope.log_records if scope.scope.name == "midspan"
            ]
            for service in self._senders(of_resource.resource):
                service.logs += records
                service.arrivals += [record.event_name for record in records]
        return logs_service.ExportLogsServiceResponse()

    def metrics(self, request: metrics_service.ExportMetricsServiceRequest, _: Any) -> Any:
        self._wait()
        for of_resource in request.resource_metrics:
            metrics = [metric for scope in of_resource.scope_metrics for metric in scope.metrics]
            for service in self._senders(of_resource.resource):
                service.metrics = {metric.name: metric for metric in metrics if metric.name.startswith(("mid", "gen"))}
                for metric in metrics:
                    service.exemplars[metric.name] += [each for point in points(metric) for each in point.exemplars]
        return metrics_service.ExportMetricsServiceResponse()


class _Servicer:
    def __init__(self, export: Any) -> None:
        self.Export = export


@contextmanager
def listening(receiver: Receiver, port: int = 0) -> Generator[str]:
    """Its address (`http://host:port`) for the time of the block."""
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    trace_stubs.add_TraceServiceServicer_to_server(_Servicer(receiver.traces), server)
    logs_stubs.add_LogsServiceServicer_to_server(_Servicer(receiver.logs), server)
    metrics_stubs.add_MetricsServiceServicer_to_server(_Servicer(receiver.metrics), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"http://127.0.0.1:{bound}"
    finally:
        receiver.release()
        server.stop(None).wait(20)
