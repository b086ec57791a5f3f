"""A span for every operation, our own or another tool's, with its progress as rationed span events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import Final, cast

from msgspec import Struct
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from midspan.core import failures, genai, names
from midspan.core import operation as core
from midspan.core.registry import TOLD_FROM, Registry
from midspan.core.state import State
from midspan.telemetry import span_attributes
from midspan.telemetry.event_queue import EventQueue
from midspan.telemetry.rationing import Ration, is_told
from midspan.telemetry.scope import package_version
from midspan.telemetry.span_record import NANO, SpanRecord

_NOTHING: Final = nullcontext[None]()


class SpanRecorder:
    """The processor that writes spans.

    The span of an instrumented call is decided at its first `attach`, or else at its end: the current span if that is
    another tool's span of this very call, and one of our own otherwise. Any other operation has its own from its start.
    Without `tracer_provider` the global one is used, also when the application sets it later. `events` False leaves out
    the span events; `queue` gets the same events for other ways.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        events: bool = True,
        queue: EventQueue | None = None,
    ) -> None:
        self._registry = registry
        self._provider = tracer_provider
        self._events = events
        self._queue = queue
        self._tracer: trace.Tracer | None = None

    def on_start(self, state: State) -> None:
        """Start the span of an operation that is not an instrumented call."""
        record = state.span = SpanRecord(otel_context.get_current())
        # An operation read from another tool's span has that one; a call that joins it decides again.
        if not state.span_deferred and state.span_id is None and record.claim():
            self._decide(state, record, record.context)

    def on_update(self, state: State) -> None:
        """Tell how far the operation is, if it is this change's turn."""
        record: SpanRecord | None = state.span
        if record is not None and is_told(state, state.updated_at):
            with record.lock:
                self._tell(state, record, self._registry.clock())

    def on_end(self, state: State) -> None:
        """Write how it ended, and end the span if it is our own."""
        record: SpanRecord = state.span or _record_of(state)
        if record.close():
            self._finish(state, record)
        elif record.claim():
            self._decide(state, record, record.context)

    def attach(self, state: State) -> AbstractContextManager[object]:
        """Decides the operation's span if that is still open; makes it current inside the `with`. Raises nothing."""
        try:
            if state.ended_at is not None:
                return _NOTHING
            record: SpanRecord = state.span or _record_of(state)
            if record.claim():
                self._decide(state, record, otel_context.get_current())
            span = record.span
            return _Current(span) if span is not None and record.own and record.is_valid else _NOTHING
        except Exception:
            failures.report("spans")
            return _NOTHING

    def _decide(self, state: State, record: SpanRecord, context: Context | None) -> None:
        around = trace.get_current_span(context)
        is_foreign = state.span_deferred and around is not trace.INVALID_SPAN and self._is_of_call(around, state)
        foreign = around if is_foreign else None
        if foreign is None and state.span_id is not None:
            if not record.place(None, own=False):
                self._finish(state, record)
            return
        span = self._start(state, record, context) if foreign is None else foreign
        record.is_valid = self._bind(state, span, around if foreign is None else None)
        if foreign is not None and span.is_recording():
            span.set_attributes(span_attributes.identity(state))
        if not record.place(span, own=foreign is None):
            self._finish(state, record)

    def _start(self, state: State, record: SpanRecord, context: Context | None) -> Span:
        return (self._tracer or self._get_tracer()).start_span(
            span_attributes.span_name(state),
            context=context if state.parent_id is None else self._parent(state.parent_id, context),
            kind=SpanKind.CLIENT if state.span_deferred else SpanKind.INTERNAL,
            attributes=span_attributes.at_creation(state),
            start_time=int(state.created_at * NANO),
        )

    def _is_of_call(self, span: Span, state: State) -> bool:
        """True for a span that another tool has made for an LLM call, and that is still open."""
        if not span.is_recording():
            return False
        # Not in the API: spans of the SDK have these, and those of others may not.
        attributes, start = getattr(span, "attributes", None), getattr(span, "start_time", None)
        if not isinstance(attributes, Mapping):
            return False
        given = cast("Mapping[str, object]", attributes)
        return genai.is_call(given) or (genai.is_call(given, state.name) and self._began_in(state, start))

    def _began_in(self, state: State, start: object) -> bool:
        """Both times are told in seconds ago, each by its own clock: they may differ."""
        return isinstance(start, int) and time.time() - start / 1e9 <= self._registry.clock() - state.created_at

    def _get_tracer(self) -> trace.Tracer:
        self._tracer = trace.get_tracer(names.SCOPE, package_version(), self._provider)
        return self._tracer

    def _parent(self, parent_id: str, context: Context | None) -> Context | None:
        """The context given; in a thread of its own, where none is, the span of the operation's parent."""
        if trace.get_current_span(context).get_span_context().is_valid:
            return context
        parent = self._registry.state(parent_id)
        record = None if parent is None else parent.span
        if not isinstance(record, SpanRecord) or record.span is None:
            return context
        return trace.set_span_in_context(record.span, context)

    def _bind(self, state: State, span: Span, around: Span | None) -> bool:
        """Note the operation's span; False for one that is none. `around` is the one that it was started in."""
        # Taken apart as the tuple that it is: each of its properties is a call.
        trace_id, span_id, _, flags, _, is_valid = span.get_span_context()
        if not is_valid:
            return False
        # Without an SDK a new span is the one around it again: that is nobody's own.
        if around is None or around is trace.INVALID_SPAN or span_id != around.get_span_context().span_id:
            sampled = bool(flags & trace.TraceFlags.SAMPLED)
            self._registry.bind_span(state, f"{trace_id:032x}", f"{span_id:016x}", sampled)
        return True

    def _finish(self, state: State, record: SpanRecord) -> None:
        span, record.span = record.span, None
        at = state.ended_at or self._registry.clock()
        is_recording = span is not None and span.is_recording()
        if span is not None and is_recording:
            span.set_attributes(span_attributes.final(state, own=record.own))
        if is_told(state, at):
            self._tell_end(state, record, span, at)
        if span is not None and is_recording and record.own:
            if state.status is core.Status.FAILED:
                error = state.error
                span.set_status(Status(StatusCode.ERROR, None if error is None else error.message))
            span.end(int(at * NANO))

    def _tell(self, state: State, record: SpanRecord, now: float) -> None:
        span = record.span
        queue = self._queue if self._queue is not None and self._queue.wanted else None
        written = self._events and span is not None and span.is_recording()
        if record.closed or not (written or queue):
            return
        if record.ration is None:
            record.ration = Ration()
        if record.ration.due(state, now):
            events = record.ration.take(state, now)
            if self._events and (record.decided or state.span_id is None):
                record.write(span, events)
            if queue is not None:
                queue.put(state, span, events)

    def _tell_end(self, state: State, record: SpanRecord, span: Span | None, at: float) -> None:
        queue = self._queue if self._queue is not None and self._queue.look() else None
        written = self._events and span is not None and span.is_recording()
        if not (written or queue):
            return
        events = (record.ration or Ration()).finish(state, at)
        if written:
            record.write(span, events)
        if queue is not None:
            # Of a short operation only the failure itself goes out.
            queue.put(state, span, events if at - state.created_at >= TOLD_FROM else events[-1:])


def _record_of(state: State) -> SpanRecord:
    """That of an operation which began before its registry had spans."""
    record = state.span = SpanRecord(otel_context.get_current())
    return record


class _Current(Struct):
    """Makes a span current in a `with`, which may be left in another thread or task than it was entered in."""

    span: Span
    token: Token[Context] | None = None

    def __enter__(self) -> None:
        self.token = otel_context.attach(trace.set_span_in_context(self.span))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        token, self.token = self.token, None
        try:
            if token is not None:
                token.var.reset(token)
        except ValueError:
            # The `with` was entered in another context: `opentelemetry.context.detach` would log an error.
            return
        except AttributeError:  # a context implementation of somebody else (OTEL_PYTHON_CONTEXT)
            otel_context.detach(cast("Token[Context]", token))
