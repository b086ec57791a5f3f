"""Waits for a meter provider, and exports a registry's metrics to it from then on; what costs, waits with it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from midspan.core import failures
from midspan.core.processor import Processor
from midspan.core.registry import Registry
from midspan.core.state import State

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from midspan.telemetry.metrics import MeterExport


class Metering(Processor):
    """The processor for metrics: it looks for a provider, and has every ended operation recorded there.

    Added after the one for spans, whose decisions it reads.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.RLock()
        self.provider: MeterProvider | None = None
        """That of an application which has given one."""
        self._genai = True
        self._exports: list[MeterExport] = []
        self._current: MeterExport | None = None
        self._complete = False

    def attach(self, meter_provider: MeterProvider | None = None, *, genai: bool = True) -> None:
        """Export to `meter_provider`, or to that of the time before, or to the global one as soon as there is one.

        `genai` False leaves out the metrics of the GenAI conventions.
        """
        # What has ended so far belongs to the time before.
        self._registry.settle()
        self.provider, self._genai = meter_provider or self.provider, genai
        self._leave()
        self._registry.remove_processor(self)
        self._registry.add_processor(self)
        self.look()

    def detach(self) -> None:
        """Report nothing any more."""
        self._registry.settle()
        self._registry.remove_processor(self)
        self._leave()
        self.provider = None

    def _leave(self) -> None:
        for export in self._exports:
            export.on = False
        self._current, self._complete = None, False

    @property
    def has_provider(self) -> bool:
        """True once everything is exported to a provider that keeps it."""
        return self._complete

    def look(self) -> None:
        """See whether there is a provider by now. Raises nothing."""
        # Whoever sets a provider has imported this, and nobody else needs it.
        if self._complete or "opentelemetry.metrics" not in sys.modules:
            return
        try:
            if self._current is not None and not self._current.has_provider():
                return
            with self._lock:
                self._find()
        except Exception:
            failures.report("metrics")

    def _find(self) -> None:
        # The times of what has ended so far were nobody's.
        self._registry.settle()
        export = self._current
        if export is None:
            export = self._current = self._export()
        export.on, export.genai = True, self._genai
        export.complete()
        self._complete = export.is_complete

    def _export(self) -> MeterExport:
        from midspan.telemetry import metrics

        # The same one again as what the application has set needs no second set of instruments.
        provider = None if self.provider is metrics.current_provider() else self.provider
        for export in self._exports:
            if export.provider is provider:
                return export
        self._exports.append(metrics.MeterExport(self._registry, provider))
        return self._exports[-1]

    def forked(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = threading.RLock()
        for export in self._exports:
            export.forked()

    def on_start(self, state: State) -> None:
        """Look for a provider, so that what runs now is seen by its next collection."""
        if self._current is None:
            self.look()

    def on_settle(self, states: Sequence[State]) -> None:
        """Record their times. A collection settles first: our counters are read before its histograms are."""
        # Looked for here, and not at an operation's end: that is in the call's way, and this is not.
        if not self._complete:
            self.look()
        if self._current is not None:
            for state in states:
                self._record(self._current, state)

    def _record(self, export: MeterExport, state: State) -> None:
        try:
            export.record(state)
        except Exception:
            failures.report("metrics")
