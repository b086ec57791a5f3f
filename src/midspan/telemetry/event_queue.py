"""Events on their way from the writers to the pulse, which hands them to log records and log lines."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct
from opentelemetry.trace import Span

from midspan.core import failures, names
from midspan.core.operation import Status
from midspan.core.registry import Registry
from midspan.core.state import State
from midspan.telemetry import span_attributes
from midspan.telemetry.rationing import ProgressEvent
from midspan.telemetry.span_attributes import Attributes

WAITING: Final = 10_000
"""So many events wait for the pulse; what comes on top is dropped, and counted as suppressed."""

_DONE: Final = {names.EVENT_START: "started", names.EVENT_STALL: "stalled", names.EVENT_RESUME: "moves again"}
_BAD_ENDINGS: Final = (Status.FAILED, Status.LOST)


class OutgoingEvent(Struct, frozen=True):
    """An event that needs no span to be understood: what it is about stands in its own attributes.

    `at` is in Unix seconds; `trace_id` and `span_id` are hex, of the operation's own or adopted span, `span` is that
    span where midspan holds it.
    """

    name: str
    at: float
    is_warning: bool
    body: str
    attributes: Attributes
    trace_id: str | None
    span_id: str | None
    sampled: bool
    span: Span | None


class Outlet(Protocol):
    """Where events go. Called by the pulse; what it raises is counted, logged once, and goes no further."""

    def wanted(self) -> bool:
        """False while nobody would get the events: then none is made."""
        ...

    def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Hand on events, oldest first; must not block. Called with none at every beat, too."""
        ...


class EventQueue:
    """What writers put in, the pulse hands to the outlets. `wanted` is what the pulse has found at its last beat."""

    def __init__(self, registry: Registry, outlets: Sequence[Outlet]) -> None:
        self._registry = registry
        self._outlets = tuple(outlets)
        self._dropped = 0
        self._waiting: deque[OutgoingEvent] = deque()
        self._flushing = threading.Lock()
        self.wanted = False
        self.look()

    def look(self) -> bool:
        """Ask the outlets again: an application may set up its telemetry at any time."""
        try:
            self.wanted = any(outlet.wanted() for outlet in self._outlets)
        except Exception:
            failures.report("events")
        return self.wanted

    def put(self, state: State, span: Span | None, events: Iterable[ProgressEvent]) -> None:
        """Take events of an operation; never blocks."""
        common = span_attributes.common(state)
        for event in events:
            if len(self._waiting) < WAITING:
                self._waiting.append(_outgoing(state, span, common, event))
            else:
                self._dropped += 1

    def flush(self) -> None:
        """Hand over what is waiting, in the calling thread: the pulse's, and at the end of the process the main one.

        Where another thread is at it, it is waited for a second.
        """
        if self._flushing.acquire(timeout=1.0):
            try:
                self._flush()
            finally:
                self._flushing.release()

    def _flush(self) -> None:
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for outlet in self._outlets:
            try:
                outlet.write(events)
            except Exception:
                failures.report("events")
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._registry.statistics.suppressed["events"] += dropped
        self.look()

    def forked(self) -> None:
        """In a forked child: what waits is the parent's to tell, and its thread may have held the lock."""
        self._flushing = threading.Lock()
        self._waiting = deque()
        self._dropped = 0


def _outgoing(state: State, span: Span | None, common: Attributes, event: ProgressEvent) -> OutgoingEvent:
    ended_badly = event.name == names.EVENT_END and state.status in _BAD_ENDINGS
    return OutgoingEvent(
        name=event.name,
        at=event.at,
        is_warning=ended_badly or event.name == names.EVENT_STALL,
        body=f"{state.name} {_happened(event)}",
        attributes={**common, **event.attributes},
        trace_id=state.trace_id,
        span_id=state.span_id,
        sampled=state.sampled,
        span=span,
    )


def _happened(event: ProgressEvent) -> str:
    """`streaming_response, 42 %`, `stalled`, `failed: TimeoutError`: for people, at a glance."""
    told = event.attributes
    if event.name == names.EVENT_END:
        error = told.get(names.ERROR_TYPE)
        return f"{told[names.OPERATION_STATUS]}: {error}" if error else str(told[names.OPERATION_STATUS])
    return _DONE.get(event.name) or ", ".join(_how_far(told)) or "goes on"


def _how_far(told: Attributes) -> Iterable[str]:
    progress, tokens = told.get(names.PROGRESS), told.get(names.TOKENS_OUTPUT)
    if names.STAGE in told:
        yield str(told[names.STAGE])
    if isinstance(progress, float):
        yield f"{progress * 100:.0f} %"
    if tokens is not None:
        yield f"{tokens} tokens"
