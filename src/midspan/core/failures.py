"""The one guard: failures of midspan itself are counted, logged once, and never reach the application.

Use it as ``except Exception: failures.report("component")``. In tests `raising` is set, and our own bugs are loud.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import Counter

logger = logging.getLogger("midspan")

raising = False
"""True in tests: `report` re-raises what it was told about."""

_counts: Counter[str] = Counter()
_lock = threading.RLock()


def report(component: str) -> None:
    """Count the exception being handled; log the first one of each component with its traceback."""
    if raising:
        raise
    with _lock:
        _counts[component] += 1
        first = _counts[component] == 1
    if first:
        logger.error(
            "midspan: internal error in %s; the application is not affected, further ones are only counted",
            component,
            exc_info=sys.exc_info(),
        )


def counts() -> dict[str, int]:
    """Internal errors so far, by component (`midspan.internal.errors`)."""
    with _lock:
        return dict(_counts)


def reset() -> None:
    """Forget all counts: for tests."""
    with _lock:
        _counts.clear()


def _forked() -> None:
    """A thread that is not there in the child may have held the lock; the counts are the parent's."""
    global _lock
    _lock = threading.RLock()
    _counts.clear()


os.register_at_fork(after_in_child=_forked)
