"""One operation's span: who decides on it, which events it gets, and that nothing is written after its end."""

from __future__ import annotations

from _thread import RLock  # what `threading.RLock()` calls, in Python
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field
from opentelemetry.context import Context
from opentelemetry.trace import Span

from midspan.telemetry.rationing import ProgressEvent, Ration

NANO: Final = 1e9
"""OpenTelemetry wants times in whole nanoseconds."""


class SpanRecord(Struct):
    """Lives in `State.span`. `lock` is held around single writes to the span, so that none comes after its end."""

    context: Context | None
    span: Span | None = None
    ration: Ration | None = None
    held_back: list[ProgressEvent] | None = None
    own: bool = False
    is_valid: bool = False
    claimed: bool = False
    decided: bool = False
    closed: bool = False
    lock: RLock = field(default_factory=RLock)

    def claim(self) -> bool:
        """True for the one caller that shall decide on the span."""
        if self.claimed:
            return False
        with self.lock:
            claimed, self.claimed = self.claimed, True
        return not claimed

    def place(self, span: Span | None, own: bool) -> bool:
        """Take the decided span, or that there is none of ours to write.

        False when the operation has ended meanwhile, and the caller must finish it.
        """
        with self.lock:
            self.span, self.own, self.context = span, own, None
            self.decided = True
            return not self.closed

    def close(self) -> bool:
        """No update is written from now on; True when the span is decided, and to be finished by the caller."""
        with self.lock:
            self.closed = True
            return self.decided

    def write(self, span: Span | None, events: Iterable[ProgressEvent]) -> None:
        """Write events to the span; while it is not decided they are held back. The caller sees to the order."""
        if not self.decided:
            self.held_back = [*(self.held_back or ()), *events]
        elif span is not None and span.is_recording():
            held_back, self.held_back = self.held_back or (), None
            for event in (*held_back, *events):
                span.add_event(event.name, event.attributes, int(event.at * NANO))
