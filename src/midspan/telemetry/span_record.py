"""One operation's span: who decides on it, which events it gets, and that nothing is written after its end."""

from __future__ import annotations

import threading
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Span

from midspan.core import names
from midspan.core.operation import Status
from midspan.core.state import State
from midspan.telemetry import span_attributes
from midspan.telemetry.span_attributes import Attributes

EVENT_SPACING: Final = 1.0
SPREAD: Final = 12.0
"""Updates come at most once a second, and later once per twelfth of the time passed: 90 of them last for hours."""
TOLD_FROM: Final = 1.0
MAX_UPDATES: Final = 90
MAX_EVENTS: Final = 120
"""Stage changes go on up to here. An SDK span keeps 128 events and drops the oldest: the rest is for its owner."""


def nanoseconds(at: float) -> int:
    """Unix seconds as the nanoseconds that OpenTelemetry wants."""
    return int(at * 1e9)


class SpanRecord:
    """Lives in `State.span`. `lock` is held around single writes to the span, so that none comes after its end."""

    __slots__ = (
        "begun_with",
        "claimed",
        "closed",
        "context",
        "events",
        "last",
        "lock",
        "own",
        "span",
        "stage",
    )

    def __init__(self, context: Context) -> None:
        self.lock = threading.Lock()
        self.context: Context | None = context
        self.span: Span | None = None
        self.begun_with: Attributes = {}
        self.own = False
        self.claimed = False
        self.closed = False
        self.events = 0
        self.last = 0.0
        self.stage: str | None = None

    def claim(self) -> bool:
        """True for the one caller that shall decide on the span."""
        if self.claimed:
            return False
        with self.lock:
            claimed, self.claimed = self.claimed, True
        return not claimed

    def place(self, span: Span, own: bool) -> bool:
        """Take the decided span; False when the operation has ended meanwhile, and the caller must end the span."""
        with self.lock:
            self.span, self.own, self.context = span, own, None
            return not self.closed

    def close(self) -> bool:
        """No update is written from now on; True when a span is there to be ended by the caller."""
        with self.lock:
            self.closed = True
            return self.span is not None

    def update(self, state: State, now: float) -> None:
        """Write an event about the progress, if it is this one's turn."""
        with self.lock:
            span = self.span
            if self.closed or span is None or not span.is_recording():
                return
            self._catch_up(span, state)
            if self._admits(state, now):
                span.add_event(names.EVENT_UPDATE, span_attributes.of_update(state, now), nanoseconds(now))
                self._written(now, state.stage)

    def end(self, span: Span, state: State, at: float) -> None:
        """Write the last event, and before it what a young operation has not written; it is closed already."""
        self._catch_up(span, state)
        span.add_event(names.EVENT_END, span_attributes.of_end(state), nanoseconds(at))

    def _catch_up(self, span: Span, state: State) -> None:
        """The start and the stages so far, with their true times: they are written once somebody may care."""
        if self.events:
            return
        span.add_event(names.EVENT_START, span_attributes.of_start(state), nanoseconds(state.created_at))
        self._written(state.created_at, None)
        for row in list(state.history):
            if row[1] == "stage" and self.events < MAX_EVENTS:
                span.add_event(names.EVENT_UPDATE, span_attributes.of_stage(row), nanoseconds(row[2]))
                self._written(row[2], row[3])

    def _admits(self, state: State, now: float) -> bool:
        if state.stage != self.stage:
            return self.events < MAX_EVENTS
        spacing = max(EVENT_SPACING, (now - state.created_at) / SPREAD)
        return self.events < MAX_UPDATES and now - self.last >= spacing

    def _written(self, at: float, stage: str | None) -> None:
        self.events += 1
        self.last, self.stage = at, stage


def is_told(state: State, now: float) -> bool:
    """Events are for operations older than a second, and for failures: most calls are over before anybody looks."""
    return now - state.created_at >= TOLD_FROM or state.status is Status.FAILED
