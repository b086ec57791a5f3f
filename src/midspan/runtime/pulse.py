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
        self._set_locks()
        self._thread: threading.Thread | None = None

    def _set_locks(self) -> None:
        # An Event has a plain lock inside, on which a signal handler would wait for its own thread.
        self._noticed = threading.Condition(threading.RLock())
        self._is_stopped = self._is_watched = False

    def start(self) -> None:
        """Begin to beat; once is enough."""
        if self._thread is None or not self._thread.is_alive():
            self._is_stopped = False
            self._registry.on_watched = self._hurry
            self._thread = threading.Thread(target=self._run, name="midspan-pulse", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat a last time, and end the thread."""
        self._registry.on_watched = None
        with self._noticed:
            self._is_stopped = True
            self._noticed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)
        self.beat()

    def forked(self) -> None:
        """In a forked child there is no thread, and the parent's may have held the lock."""
        self._thread = None
        self._set_locks()

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

    def _hurry(self) -> None:
        """The first reader has come while the pulse was slow."""
        with self._noticed:
            self._is_watched = True
            self._noticed.notify_all()

    def _run(self) -> None:
        while self._rest():
            self.beat()

    def _rest(self) -> bool:
        """Until the next beat: a tenth of a second from the first reader on. False when there is none any more."""
        with self._noticed:
            if not self._registry.watched:
                self._noticed.wait_for(lambda: self._is_stopped or self._is_watched, IDLE_SECONDS)
            if self._is_watched or self._registry.watched:
                self._noticed.wait_for(lambda: self._is_stopped, WATCHED_SECONDS)
            self._is_watched = False
            return not self._is_stopped
