"""The mirror: other tools' GenAI spans are operations while they run, one operation a call.

It only reads the spans. Longer than its aim: which of two reports of one call joins the other is decided in one place.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from midspan.core import failures, genai, names
from midspan.core.genai import Description
from midspan.core.operation import OperationType, Status
from midspan.core.state import State
from midspan.sources import steps
from midspan.sources.seen_span import SeenSpan
from midspan.tracking import recording
from midspan.tracking.activation import current_tracker
from midspan.tracking.foreign import current_call, last_call
from midspan.tracking.switches import suppressed
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

UNDECIDED: Final = 1_000
LOOKS: Final = 3
"""Some tools say only after the start what their span is: it is looked at a few times more, and at its end."""
_UNSPECIFIC: Final = OperationType.GENERAL


class SpanMirror(SpanProcessor):
    """Turns the GenAI spans of other tools into operations of `registry`, from their start to their end.

    A span that belongs to an instrumented call is no operation of its own; a call inside of such a span takes its
    operation over. Raises nothing; changes no span; keeps none alive.
    """

    def __init__(self, registry: ProgressRegistry) -> None:
        self.enabled = True
        self._registry = registry
        # Replaced by the one that our spans bear; never None, which a span may have instead of a scope.
        self._own = InstrumentationScope(names.SCOPE)
        self.forked()

    def forked(self) -> None:
        """In a forked child: the spans that are open belong to the parent."""
        self._lock = threading.RLock()
        self.open: dict[int, SeenSpan] = {}
        self._lost: deque[SeenSpan] = deque()
        self._undecided: deque[SeenSpan] = deque(maxlen=UNDECIDED)
        self._registry.span_claims.forked()
        steps.last_step.set(None)

    # --- what the SDK tells -------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span has started."""
        try:
            # Nearly every span may be ours, and all of those have the same scope.
            if self.enabled and span.instrumentation_scope is not self._own and not self._is_ours(span):
                if self._lost:
                    self._bury()
                self._started(span)
        except Exception:
            failures.report("otel_spans")

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended."""
        if not self.open:
            return
        try:
            context = span.get_span_context()
            seen = None if context is None else self.open.pop(context.span_id, None)
            if seen is not None:
                seen.close()
                self._ended(seen, span)
        except Exception:
            failures.report("otel_spans")

    def _is_ours(self, span: ReadableSpan) -> bool:
        scope = span.instrumentation_scope
        if scope is None or scope.name != names.SCOPE:
            return False
        self._own = scope
        return True

    def _started(self, span: Span) -> None:
        span_id = span.get_span_context().span_id
        if span_id in self.open:  # a provider of providers tells everything twice
            return
        if suppressed():
            self._registry.span_claims.claim(span_id)
            return
        parent = None if span.parent is None else self.open.get(span.parent.span_id)
        seen = SeenSpan(span, span_id, parent, self._note_lost)
        seen.around = self._around(span.parent)
        call = current_call.get()
        seen.call = None if call is None or call.tracker.is_ended else call.tracker.state
        seen.is_late = seen.call is None and self._covers_last_call(span)
        self.open[span_id] = seen
        if not self._decide(seen, span, wait=True):
            self._undecided.append(seen)
            if steps.is_step(span):
                self._step_started(seen, span)

    def _ended(self, seen: SeenSpan, span: ReadableSpan) -> None:
        attributes = span.attributes or {}
        if not seen.decided:
            # Told only now, of a call that this context may have made meanwhile.
            seen.is_late = seen.is_late or self._covers_last_call(span)
        self._decide(seen, span)
        if seen.same is not None:
            recording.use(self._registry, seen.same, attributes)
        state = seen.state
        if state is None or _is_written_by_a_call(state):
            return
        if seen.is_call:
            recording.use(self._registry, state, attributes)
        recording.end(self._registry, state, span)

    # --- one operation a call -----------------------------------------------------------------

    def _decide(self, seen: SeenSpan, span: ReadableSpan, wait: bool = False) -> bool:
        """Find out what the span stands for, once; False while it does not say so itself.

        `wait` for a call's model, without which its metrics would have the wrong labels.
        """
        inside = None if seen.call is None else seen.call.name
        described = genai.describe(span.attributes or {}, span.name, inside)
        if described is None or (wait and described.is_call and described.model is None):
            return False
        if self._is_first(seen):
            seen.is_call = described.is_call
            self._join_or_begin(seen, span, described)
        return True

    def _step_started(self, seen: SeenSpan, step: Span) -> None:
        """What a step itself is its span may say at its end alone; of those around it more is known now."""
        steps.last_step.set(seen)
        for above in reversed([above for above in seen.line() if not above.decided]):
            self._infer(above, step)
        self._infer(seen)

    def _infer(self, seen: SeenSpan, inner: Span | None = None) -> None:
        span = None if seen.span is None else seen.span()
        if span is None or not steps.is_step(span):
            return
        described = steps.describe(span, inner)
        if described is None or not self._is_first(seen):
            return
        above = None if seen.parent is None else seen.parent.innermost()
        if above is not None and steps.class_of(above.name) == steps.class_of(span.name):
            # One more method of the step that is shown already.
            self._registry.span_claims.claim(seen.span_id)
        else:
            self._join_or_begin(seen, span, described)

    def _is_first(self, seen: SeenSpan) -> bool:
        with self._lock:
            decided, seen.decided = seen.decided, True
        return not decided

    def _join_or_begin(self, seen: SeenSpan, span: ReadableSpan, described: Description) -> None:
        if not self._registry.span_claims.claim(seen.span_id):
            return
        if described.is_call:
            # The call's own span, wherever the call's operation ends up; or a second tool's span of the same call.
            seen.same = seen.call or self._same_call(seen, described)
        if seen.same is None and not (described.is_call and seen.is_late):
            seen.state = recording.begin(self._registry, described, span, self._parent(seen))

    def _same_call(self, seen: SeenSpan, described: Description) -> State | None:
        for above in seen.line():
            state = above.state or above.same
            if state is not None:
                same = above.is_call and not state.is_ended and state.operation_type == described.operation_type
                return state if same else None
        return None

    def _covers_last_call(self, span: ReadableSpan) -> bool:
        """True for a span with a start before that of the last call which this context has made.

        Both are told in seconds ago, each by its own clock: they may differ.
        """
        call = last_call.get()
        if call is None or span.start_time is None:
            return False
        return time.time() - span.start_time / 1e9 > self._registry.clock() - call

    def _parent(self, seen: SeenSpan) -> str | None:
        """The innermost running operation around the span, also where a span in between is none."""
        found = None if seen.parent is None else seen.parent.innermost()
        if found is None or self._is_inside(seen.around, found.operation_id):
            return seen.around
        return found.operation_id

    def _is_inside(self, inner: str | None, outer: str) -> bool:
        while inner is not None and inner != outer:
            state = self._registry.state(inner)
            inner = None if state is None else state.parent_id
        return inner is not None

    def _around(self, parent: trace.SpanContext | None) -> str | None:
        """The current tracker's operation, or that of a span of ours, whichever is inside the other."""
        tracker = current_tracker.get()
        current = None if tracker is None else tracker.operation_id
        if parent is None or parent.is_remote or parent.span_id in self.open:
            return current
        state = self._registry.state_of_span(trace.format_span_id(parent.span_id))
        if state is None or self._is_inside(current, state.operation_id):
            return current
        return state.operation_id

    # --- asked by calls and trackers that start (`ForeignSpans`) --------------------------------

    def take(self, operation_type: str) -> State | None:
        """The current span's operation, for a call of this type that starts inside of it and is the same."""
        try:
            seen = self.open.get(_current_id())
            if seen is not None and not seen.decided and self._is_call(seen):
                # It has no operation yet, and the caller is about to begin one.
                seen.is_call = self._is_first(seen) and self._registry.span_claims.claim(seen.span_id)
                return None
            seen = self._running_call(seen)
            if seen is None or seen.state is None or seen.state.operation_type not in (operation_type, _UNSPECIFIC):
                return None
            with self._lock:
                taken, seen.taken = seen.taken, True
            return None if taken else seen.state
        except Exception:
            failures.report("otel_spans")
            return None

    def _running_call(self, seen: SeenSpan | None) -> SeenSpan | None:
        """The span whose operation runs, of this one and those around it that are of the same call."""
        while seen is not None and seen.is_call and not seen.is_running:
            seen = seen.parent
        return seen if seen is not None and seen.is_call else None

    def around(self, tracker: ProgressTracker | None) -> str | None:
        """The id of the innermost operation around the running code."""
        current = None if tracker is None else tracker.operation_id
        try:
            for seen in (self._current(), steps.last_step.get()):
                found = None if seen is None else seen.innermost()
                if found is not None and not self._is_inside(current, found.operation_id):
                    current = found.operation_id
            return current
        except Exception:
            failures.report("otel_spans")
            return current

    def _current(self) -> SeenSpan | None:
        if not self.open:
            return None
        seen = self.open.get(_current_id())
        if seen is not None and not seen.decided:
            self._look_at(seen)
        return seen

    # --- by the pulse -------------------------------------------------------------------------

    def look(self) -> None:
        """Look again at spans that did not say at their start what they are, and forget those that were dropped."""
        self._bury()
        for _ in range(len(self._undecided)):
            seen = self._undecided.popleft()
            seen.looks += 1
            if seen.span_id in self.open and not self._look_at(seen) and seen.looks < LOOKS:
                self._undecided.append(seen)

    def _is_call(self, seen: SeenSpan) -> bool:
        span = None if seen.span is None else seen.span()
        return span is not None and genai.is_call(span.attributes or {})

    def _look_at(self, seen: SeenSpan) -> bool:
        span = None if seen.span is None else seen.span()
        return span is None or self._decide(seen, span)

    def _bury(self) -> None:
        while self._lost:
            seen = self._lost.popleft()
            self.open.pop(seen.span_id, None)

    def _note_lost(self, seen: SeenSpan) -> None:
        """A span was dropped unended, possibly inside the garbage collector."""
        self._lost.append(seen)
        if seen.state is not None and not _is_written_by_a_call(seen.state):
            self._registry.drop(seen.state, Status.LOST, "span never ended")


def _current_id() -> int:
    return trace.get_current_span().get_span_context().span_id


def _is_written_by_a_call(state: State) -> bool:
    return state.span_deferred or state.is_ended
