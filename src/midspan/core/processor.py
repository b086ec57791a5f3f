"""What a registry tells about changes."""

from __future__ import annotations

from typing import Protocol

from midspan.core.state import State


class Processor(Protocol):
    """Told about every operation's start, progress and end.

    Methods are called without any lock held, must not block, and may see `on_update` once more after `on_end` when two
    threads write to one operation. What they raise is logged, counted, and goes no further.
    """

    def on_start(self, state: State) -> None:
        """An operation was registered (pending or running)."""
        ...

    def on_update(self, state: State) -> None:
        """A stage or status changed, or the pulse saw progress, a stall (`state.stalled`) or the end of one."""
        ...

    def on_end(self, state: State) -> None:
        """A terminal status was reached; this is called exactly once."""
        ...
