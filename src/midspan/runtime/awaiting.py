"""What waits for a module that the application may import at any time, or never."""

from __future__ import annotations

import threading
from collections.abc import Callable

import wrapt

from midspan.core import failures


class Awaiting:
    """Does something as soon as a module is there: now, or in the thread that imports it, before that goes on."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._action: Callable[[], object] | None = None
        self._hooked = False
        self._there = False
        # Reentrant: what is done may import in turn.
        self._lock = threading.RLock()

    def then(self, action: Callable[[], object]) -> None:
        """Call `action` once the module is there; only the newest one counts. Raises nothing."""
        with self._lock:
            self._action = action
            if self._there:
                self._act()
            if self._hooked:
                return
            self._hooked = True
        wrapt.register_post_import_hook(self._imported, self._module)

    def forget(self) -> None:
        """Call nothing any more. What has begun in another thread is done when this returns."""
        with self._lock:
            self._action = None

    def forked(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = threading.RLock()

    def _imported(self, _module: object) -> None:
        with self._lock:
            self._there = True
            self._act()

    def _act(self) -> None:
        try:
            if self._action is not None:
                self._action()
        except Exception:
            failures.report("awaiting")
