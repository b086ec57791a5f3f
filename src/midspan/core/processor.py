"""What a registry tells about changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from midspan.core.state import State


class Processor(Protocol):
    """Told about every operation's start, progress and end.

    What a class that derives from this one leaves out is not called. Methods are called without any lock held, must not
    block, and may see `on_update` once more after `on_end` when two threads write to one operation. What they raise is
    logged, counted, and goes no further.
    """

    def on_start(self, state: State) -> None:
        """An operation was registered (pending or running)."""
        return

    def on_update(self, state: State) -> None:
        """A stage or status changed, or the pulse saw progress, a stall (`state.stalled`) or the end of one."""
        return

    def on_end(self, state: State) -> None:
        """A terminal status was reached; this is called exactly once."""
        return


@runtime_checkable
class Settler(Protocol):
    """A processor that does most of its work apart from the calls: many ended operations at once cost it less.

    Only one thread settles at a time, so what is done here must not wait for another one's telemetry.
    """

    def on_settle(self, states: Sequence[State]) -> None:
        """These ended operations are about to be counted and stored: within a pulse of `on_end`, and before anybody
        reads them."""
        ...
