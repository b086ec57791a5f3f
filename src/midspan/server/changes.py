"""What happened to an operation between two looks at it: a stage that came and went meanwhile is told all the same."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from midspan.core.operation import Event, Operation, Status

MAX_KNOWN = 100_000


class Changes:
    """Remembers how far each running operation has been told. `since` (Unix seconds) is when it began to look."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._told: dict[str, tuple[int, int]] = {}

    def read(self, operation: Operation) -> Iterator[tuple[Operation, bool]]:
        """(operation, due) for each stage entered since the last look, and for the state that it is in now.

        What is due (an ending, a stage change) must not be replaced by what comes after it.
        """
        stages = entered_stages(operation, self._told_until(operation))
        self._remember(operation)
        if not operation.is_terminal:
            is_entering = bool(stages)
            stages = stages[:-1]  # the last one is where it is now
        else:
            is_entering = True
        for event in stages:
            yield as_it_was(operation, event), True
        yield operation, is_entering

    def _told_until(self, operation: Operation) -> int:
        epoch, sequence = self._told.get(operation.operation_id, (0, 0))
        if epoch == operation.epoch:
            return sequence
        return max((event.sequence for event in operation.history if event.at < self._since), default=0)

    def _remember(self, operation: Operation) -> None:
        if operation.is_terminal:
            self._told.pop(operation.operation_id, None)
            return
        self._told[operation.operation_id] = operation.epoch, operation.sequence
        if len(self._told) > MAX_KNOWN:
            del self._told[next(iter(self._told))]


def entered_stages(operation: Operation, after: int) -> list[Event]:
    """The stages in its history that were entered after the sequence number `after`."""
    return [event for event in operation.history if event.type == "stage" and event.sequence > after]


def as_it_was(operation: Operation, event: Event) -> Operation:
    """The operation when it entered the stage of `event`, as far as its history tells: estimates are left out."""
    begun = operation.started_at or operation.created_at
    stages = operation.stages_completed
    completed = stages[: stages.index(event.stage)] if event.stage in stages else stages
    return msgspec.structs.replace(
        operation,
        status=Status.RUNNING,
        status_reason=None,
        stage=event.stage,
        stages_completed=completed,
        progress=event.progress,
        step=event.step,
        message=event.message,
        updated_at=event.at,
        progressed_at=event.at,
        ended_at=None,
        elapsed_seconds=max(0.0, event.at - begun),
        estimated_remaining_seconds=None,
        estimate=None,
        result=None,
        error=None,
        stalled=False,
        sequence=event.sequence,
        history=tuple(each for each in operation.history if each.sequence <= event.sequence),
    )
