"""OpenTelemetry's own providers, under `midspan run`: only where somebody has asked for an exporter."""

from __future__ import annotations

import os

from midspan.core import failures


def configure_exporters() -> None:
    """Build OpenTelemetry's providers when the environment names an exporter or an endpoint, and else leave them.

    A provider set here would make the app's own `set_tracer_provider` a no-op. Raises nothing: what cannot be exported
    is seen here nevertheless.
    """
    chosen = any(
        name.startswith("OTEL_") and name.endswith(("_EXPORTER", "_ENDPOINT")) and value not in ("", "none")
        for name, value in os.environ.items()
    )
    if not chosen or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        _configure()
    except Exception as error:  # a variable's value, which OpenTelemetry refuses
        failures.logger.error(
            "midspan: OpenTelemetry refuses its settings, so nothing is exported: %s: %s", type(error).__name__, error
        )


def _configure() -> None:
    from importlib.metadata import entry_points

    for group in ("opentelemetry_distro", "opentelemetry_configurator"):
        for entry_point in list(entry_points(group=group))[:1]:
            entry_point.load()().configure()
