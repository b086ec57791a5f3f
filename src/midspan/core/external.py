"""Operations that another process reports from outside: nobody notices here when that process is gone."""

from __future__ import annotations

from midspan.core.state import State

MAX_EXTERNAL = 10_000
SILENT_AFTER = 3600.0
STALLS = 10.0


class External:
    """The running operations that are reported from outside, at most 10,000."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    @property
    def is_full(self) -> bool:
        """True when no more are taken."""
        self._forget_ended()
        return len(self._states) >= MAX_EXTERNAL

    def add(self, state: State) -> None:
        """Note that this operation is reported from outside."""
        state.external = True
        self._states[state.operation_id] = state

    def silent(self, now: float) -> list[State]:
        """Those that were not heard of for an hour, or ten times as long as it takes them to stall: they are lost."""
        if not self._states:
            return []
        self._forget_ended()
        return [state for state in list(self._states.values()) if now - state.updated_at > _patience(state)]

    def _forget_ended(self) -> None:
        for operation_id, state in list(self._states.items()):
            if state.is_ended:
                self._states.pop(operation_id, None)


def _patience(state: State) -> float:
    return max(SILENT_AFTER, STALLS * state.stall_after)
