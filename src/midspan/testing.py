"""For tests, yours and ours: a clock that only moves when told, and what was tracked inside a block."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from midspan.core.operation import Operation, Status
from midspan.core.snapshot import snapshot
from midspan.core.state import State
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry


class FakeClock:
    """A clock for `ProgressRegistry(clock=FakeClock())`: Unix seconds that move by `advance` alone."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let `seconds` pass; returns the new time."""
        self.now += seconds
        return self.now


class Captured:
    """The operations of one `capture()` block, in the order in which they started."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self._registry = registry
        self._states: list[State] = []

    def on_start(self, state: State) -> None:
        """Processor: a new operation."""
        self._states.append(state)

    def on_update(self, state: State) -> None:
        """Processor: nothing to do, the state is read when asked for."""

    def on_end(self, state: State) -> None:
        """Processor: nothing to do, the state is read when asked for."""

    @property
    def operations(self) -> list[Operation]:
        """A snapshot of each, now."""
        self._registry.reap()
        now = self._registry.clock()
        return [snapshot(state, now) for state in self._states]

    def with_status(self, status: Status | str) -> list[Operation]:
        """Those that have this status now."""
        return [operation for operation in self.operations if operation.status == status]


@contextmanager
def capture(registry: ProgressRegistry | None = None) -> Generator[Captured]:
    """Collect every operation that starts inside the block (in the process-wide registry by default)."""
    source = get_progress_registry() if registry is None else registry
    captured = Captured(source)
    source.add_processor(captured)
    try:
        yield captured
    finally:
        source.remove_processor(captured)
