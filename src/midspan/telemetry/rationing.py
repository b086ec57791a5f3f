"""Which changes of an operation become events: every stage and stall, progress now and then, and always the end.

Spans, log records and log lines are three ways for the same events: the same times, attributes and sequence numbers.
"""

from __future__ import annotations

from typing import Final, cast

from msgspec import Struct

from midspan.core import names
from midspan.core.operation import Status
from midspan.core.registry import TOLD_FROM
from midspan.core.state import State
from midspan.telemetry import span_attributes
from midspan.telemetry.span_attributes import Attributes

EVENT_SPACING: Final = 1.0
SPREAD: Final = 12.0
"""Updates come at most once a second, and later once per twelfth of the time passed: 90 of them last for hours."""
MAX_UPDATES: Final = 90
MAX_STAGES: Final = 110
"""Stage changes go on up to here."""
MAX_EVENTS: Final = 120
"""Stalls go on up to here. An SDK span keeps 128 events and drops the oldest: the rest is for its owner."""


class ProgressEvent(Struct, frozen=True):
    """One event: its name, its time (Unix seconds), and its attributes."""

    name: str
    at: float
    attributes: Attributes


class Ration:
    """What one operation has told so far. Used by one thread at a time."""

    __slots__ = ("events", "last", "sequence", "stage", "stalled")

    def __init__(self) -> None:
        self.events = 0
        self.last = 0.0
        self.sequence = 0
        self.stage: str | None = None
        self.stalled = False

    def due(self, state: State, now: float) -> bool:
        """True when there is something to tell at `now`: `take` has it."""
        return self.events == 0 or self._admits(state, now)

    def take(self, state: State, now: float) -> list[ProgressEvent]:
        """What is due at `now`; first of all the start and the stages so far, with their true times."""
        events = self._catch_up(state)
        if self._admits(state, now):
            kind, self.stalled = self._kind(state), state.stalled
            events.append(self._written(kind, now, state.stage, span_attributes.of_update(state, now)))
        return events

    def finish(self, state: State, at: float) -> list[ProgressEvent]:
        """The last event, and before it what a young operation has not told."""
        return [*self._catch_up(state), ProgressEvent(names.EVENT_END, at, span_attributes.of_end(state))]

    def _catch_up(self, state: State) -> list[ProgressEvent]:
        if self.events:
            return []
        events = [self._written(names.EVENT_START, state.created_at, None, span_attributes.of_start(state))]
        for row in list(state.history):
            if row[1] == "stage" and self.events < MAX_STAGES:
                events.append(self._written(names.EVENT_UPDATE, row[2], row[3], span_attributes.of_stage(row)))
        return events

    def _admits(self, state: State, now: float) -> bool:
        if state.sequence <= self.sequence:
            return False
        if state.stalled != self.stalled:
            return self.events < MAX_EVENTS
        if state.stage != self.stage:
            return self.events < MAX_STAGES
        spacing = max(EVENT_SPACING, (now - state.created_at) / SPREAD)
        return self.events < MAX_UPDATES and now - self.last >= spacing

    def _kind(self, state: State) -> str:
        if state.stalled == self.stalled:
            return names.EVENT_UPDATE
        return names.EVENT_STALL if state.stalled else names.EVENT_RESUME

    def _written(self, name: str, at: float, stage: str | None, attributes: Attributes) -> ProgressEvent:
        self.events += 1
        self.last, self.stage, self.sequence = at, stage, cast("int", attributes[names.SEQUENCE])
        return ProgressEvent(name, at, attributes)


def is_told(state: State, now: float) -> bool:
    """Events are for operations older than a second, and for failures: most calls are over before anybody looks.

    `now` may be the time of the last change: the pulse has noted those that were older when it looked.
    """
    return state.told or now - state.created_at >= TOLD_FROM or state.status is Status.FAILED
