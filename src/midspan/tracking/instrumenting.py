"""What instrumentation may use: one call is one operation, written through a `CallTracker`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from midspan.core import transitions
from midspan.core.failures import logger
from midspan.core.failures import report as report_failure
from midspan.core.operation import ErrorInfo, Stage, Status
from midspan.core.state import Counts, State
from midspan.core.text import MAX_NAME, clean
from midspan.tracking.activation import current_tracker
from midspan.tracking.arguments import new_id
from midspan.tracking.foreign import current_call, last_call
from midspan.tracking.outcome import Outcome, error_info, outcome_of
from midspan.tracking.switches import suppressed
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker, get_progress_registry

__all__ = [
    "CallTracker",
    "Counts",
    "Outcome",
    "Stage",
    "abandoned",
    "attached",
    "current_call",
    "error_info",
    "logger",
    "outcome_of",
    "report_failure",
    "start_call",
    "suppressed",
]


class CallTracker(ProgressTracker):
    """The tracker of one instrumented call. `counts` is written by the stream's reader, without a lock."""

    __slots__ = ("counts",)

    counts: Counts

    @classmethod
    def of_call(cls, registry: ProgressRegistry, state: State) -> CallTracker:
        """The tracker of a call whose state is about to be registered."""
        tracker = cls.of(registry, state)
        tracker.counts = state.counts = Counts()
        return tracker

    def first_chunk(self) -> None:
        """The first chunk of a streamed answer has arrived."""
        self.apply(lambda s, now: transitions.first_chunk(s, now, Stage.STREAMING_RESPONSE))

    def record_usage(
        self,
        input: int | None = None,  # noqa: A002 - the conventions' word
        output: int | None = None,
        reasoning: int | None = None,
        cached: int | None = None,
    ) -> None:
        """Token usage as the server reported it; it replaces every estimate."""
        self.apply(lambda state, _: transitions.record_usage(state, input, output, reasoning, cached))

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        """More attributes for the operation's span, written when it ends."""
        self.state.attributes = {**(self.state.attributes or {}), **attributes}

    def retrying(self, attempt: int, error_type: str | None = None) -> None:
        """Attempt number `attempt` of the same call begins; the one before failed with `error_type`."""
        self.registry.statistics.attempt(self.state, error_type or "unknown")
        self.apply(lambda state, now: transitions.retry(state, now, attempt, Stage.RETRYING))

    def fail_as(self, error_type: str, message: str | None) -> None:
        """End as failed with an error that the server reported: a low-cardinality type, and a message."""
        error = ErrorInfo(type=clean(error_type, MAX_NAME), message=None if message is None else clean(message))
        self.registry.end(self.state, Status.FAILED, error=error)


def start_call(
    *,
    operation: str,
    provider: str,
    model: str | None,
    stream: bool,
    operation_type: str = "llm_request",
    max_tokens: int | None = None,
    timeout: float | None = None,
    attributes: Mapping[str, object] | None = None,
) -> CallTracker:
    """Register an instrumented call, sending its request, as an operation named after its `gen_ai.operation.name`.

    Its span is decided when the request reaches the transport (`attached`), or else at its end. A call without
    observable progress (not streamed) stalls at its client's own `timeout` in seconds.
    """
    registry = get_progress_registry()
    now = registry.clock()
    # The span of another tool for this very call may have begun its operation already.
    begun = None
    if registry.foreign is not None:
        begun = registry.foreign.take(operation_type)
        last_call.set(now)
    state = State(new_id(), operation_type, operation, now) if begun is None else begun
    if begun is None:
        state.parent_id = registry.around(current_tracker.get())
    state.provider, state.model = provider, None if model is None else clean(model, MAX_NAME)
    state.stall_after = registry.stall_limit(operation_type) if stream or timeout is None else timeout
    state.max_tokens = max_tokens if stream else None
    state.attributes, state.span_deferred = attributes, True
    with state.lock:
        transitions.enter_stage(state, now, Stage.SENDING_REQUEST)
    tracker = CallTracker.of_call(registry, state)
    if begun is None:
        registry.add(state)
    else:
        registry.publish(state, transitions.LOUD)
    return tracker


def attached(tracker: ProgressTracker) -> AbstractContextManager[object]:
    """Decides the operation's span the first time (adopted or own), and makes it current inside the `with`."""
    return tracker.registry.attach(tracker.state)


def abandoned(tracker: ProgressTracker, reason: str, *, completed: bool = False) -> None:
    """The call's handle was dropped. Safe inside the garbage collector: the pulse ends the operation."""
    status = Status.COMPLETED if completed else Status.CANCELLED
    tracker.registry.drop(tracker.state, status, reason)
