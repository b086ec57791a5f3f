"""What is installed: midspan itself, what the extras bring, other tools."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator

from midspan.cli.findings import Finding

EXTRAS = {
    "rich": ("run", "the live views of `midspan run --view` and `midspan top`"),
    "websockets": ("run", "WebSockets of the API"),
    "opentelemetry-distro": ("run", "the exporters that OTEL_* variables name"),
    "mcp": ("mcp", "the MCP server at /mcp"),
}
"""Package → the extra that has it, and what is missing without it."""

TOOLS = {
    "opentelemetry-instrumentation-genai-": "OpenTelemetry GenAI",
    "opentelemetry-instrumentation-openai": "OpenLLMetry",
    "traceloop-sdk": "OpenLLMetry",
    "openinference-instrumentation-": "OpenInference",
    "logfire": "Logfire",
}
"""How a distribution's name begins → the tool. `-openai-v2` is OpenTelemetry's own, of an older name."""


def found_midspan() -> Iterator[Finding]:
    """midspan, and the Python that it is installed in."""
    said = f"{version_of('midspan')} for Python {platform.python_version()}"
    yield Finding("installed", "midspan", "ok", said)
    for name in ("opentelemetry-sdk", "opentelemetry-instrumentation", "prometheus-client", "starlette", "uvicorn"):
        version = version_of(name)
        if version is None:
            advice = "reinstall midspan: pip install --force-reinstall midspan"
            yield Finding("installed", name, "problem", "not installed, midspan needs it", advice)
        else:
            yield Finding("installed", name, "ok", version)
    for name, (extra, without) in EXTRAS.items():
        version = version_of(name)
        if version is None:
            yield Finding(
                "installed", name, "info", f"not installed: without {without}", f"pip install 'midspan[{extra}]'"
            )
        else:
            yield Finding("installed", name, "ok", version)


def found_tools() -> Iterator[Finding]:
    """Other instrumentation of LLM calls. One call stays one operation, and one span, beside those known here."""
    names = {each.name.lower() for each in importlib.metadata.distributions()}
    for name in sorted(names):
        tool = next((tool for begins, tool in TOOLS.items() if name.startswith(begins)), None)
        if tool is not None:
            whose = "OpenTelemetry GenAI" if name.endswith("-v2") else tool
            said = f"{version_of(name)} ({whose}): where it makes the span, midspan's progress goes onto it"
            yield Finding("other tools", name, "info", said)


def version_of(name: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
