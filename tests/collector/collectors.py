"""A real collector in the middle: rotel, which takes OTLP by gRPC and HTTP and hands it on."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.programs import free_port, running, without


@dataclass(frozen=True)
class Rotel:
    """Where it listens."""

    grpc: str
    http: str

    def environ(self, protocol: str, compression: str) -> dict[str, str]:
        """What an application exports to it with."""
        return exporting(self.grpc if protocol == "grpc" else self.http, protocol, compression)


def exporting(endpoint: str, protocol: str = "grpc", compression: str = "none") -> dict[str, str]:
    """What an application exports all three signals with, as soon as it can."""
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        # The exporter for gRPC refuses the convention's own word for no compression.
        **({} if compression == "none" else {"OTEL_EXPORTER_OTLP_COMPRESSION": compression}),
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
    }


@contextmanager
def rotel(target: str, port: int | None = None) -> Generator[Rotel]:
    """Rotel for the time of the block; it hands on to the gRPC address `target`. `port` is the one for HTTP."""
    grpc, http = free_port(), port or free_port()
    command = [_binary(), "start", "--exporter", "otlp", "--otlp-exporter-protocol", "grpc"]
    command += ["--otlp-exporter-endpoint", target, "--batch-timeout", "50ms"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
    with running(command, f"http://127.0.0.1:{http}/", **_libraries()):
        yield Rotel(f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}")


def _libraries() -> dict[str, str]:
    """It is linked with the library of the Python that its wheel is for."""
    folders = (str(sysconfig.get_config_var("LIBDIR")), os.environ.get("LD_LIBRARY_PATH", ""))
    return {"LD_LIBRARY_PATH": ":".join(filter(None, folders))}


def _binary() -> str:
    found = find_spec("rotel")
    if found is None or found.origin is None:
        without("rotel is not installed: it has no build for this Python")
    path = str(Path(found.origin).with_name("rotel-agent"))
    tried = subprocess.run([path, "--version"], capture_output=True, env={**os.environ, **_libraries()}, check=False)
    return path if tried.returncode == 0 else without(f"rotel does not start: {tried.stderr.decode().strip()}")
