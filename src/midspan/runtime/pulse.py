"""The pulse: the one thread that publishes quiet changes, ends what was dropped, and ages out the old."""

from __future__ import annotations

import threading
from collections.abc import Callable

from midspan.core import failures
from midspan.core.registry import Registry

IDLE_SECONDS = 1.0
WATCHED_SECONDS = 0.1


class Pulse:
    """Beats ten times a second while somebody watches, else once. A daemon thread: it keeps no process alive."""

    def __init__(
        self,
        registry: Registry,
        each_beat: Callable[[], object] | None = None,
        after_beat: Callable[[], object] | None = None,
    ) -> None:
        self._registry = registry
        self._steps = (each_beat, self._publish, after_beat)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat; once is enough."""
        if self._thread is None or not self._thread.is_alive():
            self._stopped.clear()
            self._thread = threading.Thread(target=self._run, name="midspan-pulse", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat a last time, and end the thread."""
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)
        self.beat()

    def forked(self) -> None:
        """In a forked child there is no thread, and the parent's may have held the event's lock."""
        self._thread = None
        self._stopped = threading.Event()

    def beat(self) -> None:
        """One beat, in the calling thread."""
        for step in self._steps:
            try:
                if step is not None:
                    step()
            except Exception:
                failures.report("pulse")

    def _publish(self) -> None:
        self._registry.pulse(self._registry.clock())

    def _run(self) -> None:
        stopped = self._stopped
        while not stopped.wait(WATCHED_SECONDS if self._registry.watched else IDLE_SECONDS):
            self.beat()
