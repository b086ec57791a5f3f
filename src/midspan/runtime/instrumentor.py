"""Entry point `opentelemetry_instrumentor: midspan`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # pyright: ignore[reportMissingTypeStubs]

from midspan.runtime.wiring import instrument, pre_instrument, runtime, uninstrument


class MidspanInstrumentor(BaseInstrumentor):
    """The same switch as `midspan.instrument()`, in OpenTelemetry's form. Needs no package to be installed."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each provider is hooked if and when the app imports it."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        providers = {name: kwargs.get(name) for name in ("tracer_provider", "meter_provider")}
        if any(provider is not None for provider in providers.values()):
            instrument(**providers)
        elif not runtime().patched:
            pre_instrument()

    def _uninstrument(self, **kwargs: Any) -> None:
        uninstrument()
