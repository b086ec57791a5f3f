"""The clock of the process: Unix seconds that never step back."""

from __future__ import annotations

import time
from time import monotonic


class SteadyClock:
    """`now()` gives Unix seconds: the wall clock of the moment it was made, plus monotonic time since then.

    A corrected system clock therefore bends no duration; a process that was suspended is anchored anew.
    """

    __slots__ = ("_offset",)

    DRIFT_ALLOWED = 5.0

    def __init__(self) -> None:
        self._offset = time.time() - monotonic()

    def now(self) -> float:
        """Unix seconds."""
        return monotonic() + self._offset

    def correct(self) -> None:
        """Anchor anew when the wall clock has gone ahead by more than 5 s, as after a suspended laptop."""
        ahead = time.time() - self.now()
        if ahead > self.DRIFT_ALLOWED:
            self._offset += ahead


steady_clock = SteadyClock()
