"""Who answers: midspan's own server, and the collectors that telemetry goes to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from midspan.cli.findings import Finding
from midspan.cli.following import check, reason
from midspan.client.connection import Api, ApiError
from midspan.settings import Settings

TIMEOUT_SECONDS = 2.0
SIGNALS = ("TRACES", "METRICS", "LOGS")
_SECTION = "reachable"
_PORTS = {"http": 80, "https": 443}


def found_server(settings: Settings) -> Finding:
    """Whether a midspan answers where `midspan run` would serve. That none runs is no problem."""
    api = Api(
        None if settings.server is None else _url(str(settings.server)), token=_token(settings), timeout=TIMEOUT_SECONDS
    )
    try:
        check(api)
    except ConnectionRefusedError:
        said = "nothing runs there: midspan run -- COMMAND would serve it"
        return Finding(_SECTION, api.base_url, "info", said)
    except ApiError as error:
        return Finding(
            _SECTION, api.base_url, "problem", reason(error), "give the token that its application was given"
        )
    except (OSError, ValueError) as error:
        advice = "another program may have the port: set MIDSPAN_SERVER to a free one"
        return Finding(_SECTION, api.base_url, "problem", f"no midspan answers: {reason(error)}", advice)
    return Finding(_SECTION, api.base_url, "ok", "midspan answers")


def _url(address: str) -> str:
    return "http://" + address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")


def _token(settings: Settings) -> str | None:
    """The secret of the first of its tokens."""
    text = settings.token
    if settings.token_file is not None:
        text = settings.token_file.read_text(encoding="utf-8")
    first = (text or "").replace(",", " ").split()
    return first[0].rpartition(":")[2] if first else None


def found_collectors() -> Iterator[Finding]:
    """Every address that OTEL_* variables name for OTLP, or imply, with whether somebody listens there."""
    for variable, url in dict(_endpoints()).items():
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port or _PORTS.get(parts.scheme, 4317)
            socket.create_connection((parts.hostname or "", port), TIMEOUT_SECONDS).close()
        except (OSError, ValueError) as error:
            advice = f"start the collector, or set {variable} to where it listens"
            yield Finding(_SECTION, f"OTLP {url}", "problem", f"{reason(error)} ({variable})", advice)
        else:
            yield Finding(_SECTION, f"OTLP {url}", "ok", f"somebody listens ({variable})")


def _endpoints() -> Iterator[tuple[str, str]]:
    common = "OTEL_EXPORTER_OTLP_ENDPOINT"
    for signal in SIGNALS:
        own = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
        exporters = os.environ.get(f"OTEL_{signal}_EXPORTER", "").replace(" ", "").split(",")
        if exporters == ["none"]:
            continue
        if os.environ.get(own):
            yield own, os.environ[own]
        elif os.environ.get(common):
            yield common, os.environ[common]
        elif {"otlp", "otlp_proto_grpc", "otlp_proto_http"} & {*exporters}:
            yield common, _default(signal, exporters)


def _default(signal: str, exporters: list[str]) -> str:
    """The port of the protocol in use (OpenTelemetry protocol exporter, specification 1.x)."""
    general = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", general)
    uses_http = "otlp_proto_http" in exporters or protocol.startswith("http")
    return "http://localhost:4318" if uses_http else "http://localhost:4317"
