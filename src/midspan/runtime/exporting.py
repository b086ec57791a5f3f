"""When OpenTelemetry's exporters are made: as late as can be, so that a provider of the application's goes first."""

from __future__ import annotations

from collections.abc import Callable

from midspan.runtime import exporters, process
from midspan.tracking.tracker import ProgressRegistry


class Exporting:
    """Exporters as the environment says; `look_for_providers` is called once they are made."""

    def __init__(self, registry: ProgressRegistry, look_for_providers: Callable[[], object]) -> None:
        self._first_operation = process.FirstOperation(registry)
        self._look_for_providers = look_for_providers

    def begin(self) -> None:
        """Make them at the first operation, at the first span of anybody's, or at the latest when the main thread ends.

        Before the recorder of spans is added: it needs the provider for the first of them.
        """
        # What an exporter needs in a forked child has to be done before its own threads begin there.
        process.see_forks()
        if exporters.are_chosen():
            exporters.preload()
            act = self._first_operation.act
            self._first_operation.then(self._make)
            exporters.at_first_span(act)
            process.when_main_ends(act)

    def _make(self) -> None:
        exporters.configure_exporters()
        # Not left to the pulse: a process may be over before its next beat.
        self._look_for_providers()

    def forked(self) -> None:
        """In a forked child: what is still to be made is made there."""
        self._first_operation.forked()
