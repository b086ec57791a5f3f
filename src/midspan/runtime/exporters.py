"""OpenTelemetry's providers as the environment chooses them, for an application that sets up none of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Final

from msgspec import Struct

from midspan.core import failures


class Signal(Struct, frozen=True):
    """Where OpenTelemetry keeps the global provider of a signal, and which function of its configurator makes one."""

    module: str
    provider: str
    maker: str


SIGNALS: Final = {
    "traces": Signal("opentelemetry.trace", "_TRACER_PROVIDER", "_init_tracing"),
    "metrics": Signal("opentelemetry.metrics._internal", "_METER_PROVIDER", "_init_metrics"),
    "logs": Signal("opentelemetry._logs._internal", "_LOGGER_PROVIDER", "_init_logging"),
}


_FINDING: Final = "_tracer"
"""What a tracer that was handed out before there was a provider looks for one with, whenever it begins a span."""


def global_provider(signal: Signal) -> object | None:
    """The provider that was set. Asked for by its function, one that a variable names would be made at once."""
    return getattr(sys.modules.get(signal.module), signal.provider, None)


def are_chosen() -> bool:
    """Whether the environment names an exporter or an endpoint."""
    chosen = any(
        name.startswith("OTEL_") and name.endswith(("_EXPORTER", "_ENDPOINT")) and value not in ("", "none")
        for name, value in os.environ.items()
    )
    return chosen and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def preload() -> None:
    """Import what takes long before the application begins, so that its first operation does not wait for it.

    Raises nothing: what is wrong with the choice is told where it is used.
    """
    for signal in SIGNALS:
        for name in _names(signal):
            for entry_point in entry_points(group=f"opentelemetry_{signal}_exporter", name=name):
                try:
                    entry_point.load()
                except Exception as error:
                    failures.logger.debug("midspan: the exporter %s cannot be imported: %r", name, error)


def _names(signal: str) -> Iterator[str]:
    """The exporters of a signal, as their entry points are called; `otlp` is one of two."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").partition("/")[0]
    for name in os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").split(","):
        yield f"otlp_proto_{protocol}" if name.strip() == "otlp" else name.strip()


def at_first_span(action: Callable[[], object]) -> None:
    """Call `action` when somebody begins a span, and no provider is there that would record it.

    Tools that have spans of their own need a provider before there is any operation. A span that is only described, as
    by a decorator, is not begun: the application may still set its provider.
    """
    from opentelemetry import trace

    finding = vars(trace.ProxyTracer).get(_FINDING)
    if not isinstance(finding, property) or finding.fget is None:
        return
    find = finding.fget

    def found(proxy: trace.ProxyTracer) -> trace.Tracer:
        try:
            if global_provider(SIGNALS["traces"]) is None:
                action()
            setattr(trace.ProxyTracer, _FINDING, finding)
        except Exception:
            failures.report("exporters")
        return find(proxy)

    setattr(trace.ProxyTracer, _FINDING, property(found))


def configure_exporters() -> None:
    """Make the providers that the environment chooses, but none where the application has set one.

    Raises nothing: what cannot be exported is seen here nevertheless.
    """
    if not are_chosen() or all(global_provider(signal) for signal in SIGNALS.values()):
        return
    try:
        with _leaving_alone([signal for signal in SIGNALS.values() if global_provider(signal) is not None]):
            _configure()
    except Exception as error:  # a variable's value, which OpenTelemetry refuses
        failures.logger.error(
            "midspan: OpenTelemetry refuses its settings, so nothing is exported: %s: %s", type(error).__name__, error
        )


@contextmanager
def _leaving_alone(signals: list[Signal]) -> Generator[None]:
    """The configurator knows all signals or none, and would make a second provider only to be refused."""
    if not signals:
        yield
        return
    from opentelemetry.sdk import _configuration

    made = {signal.maker: getattr(_configuration, signal.maker, _nothing) for signal in signals}
    for name in made:
        setattr(_configuration, name, _nothing)
    try:
        yield
    finally:
        for name, maker in made.items():
            setattr(_configuration, name, maker)


def _nothing(*_: object, **__: object) -> None:
    """Makes no provider."""


def _configure() -> None:
    for group in ("opentelemetry_distro", "opentelemetry_configurator"):
        for entry_point in list(entry_points(group=group))[:1]:
            entry_point.load()().configure()
