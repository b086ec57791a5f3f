"""What instrumentation may use: one call is one operation, written through a `CallTracker`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from midspan.core import call_transitions, names, transitions
from midspan.core.content import NO_CAPTURE, Capture, Content, Piece, Prompt
from midspan.core.failures import logger
from midspan.core.failures import report as report_failure
from midspan.core.operation import ErrorInfo, Operation, Stage, Status
from midspan.core.state import Counts, FailedAttempt, State
from midspan.core.text import MAX_NAME, clean, clean_attributes
from midspan.tracking.activation import current_tracker
from midspan.tracking.arguments import new_id
from midspan.tracking.errors import error_info
from midspan.tracking.foreign import current_call, last_call
from midspan.tracking.job_reading import JobReading, Sighting, take_over
from midspan.tracking.outcome import Outcome, outcome_of
from midspan.tracking.provider_jobs import ASKED, CREATED, LISTED, became_job, find_job, refused_job, saw_job
from midspan.tracking.switches import disabled, suppressed
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker, get_progress_registry

__all__ = [
    "ASKED",
    "CREATED",
    "LISTED",
    "NO_CAPTURE",
    "CallKind",
    "CallTracker",
    "Capture",
    "Content",
    "Counts",
    "ErrorInfo",
    "JobReading",
    "Operation",
    "Outcome",
    "Piece",
    "ProgressTracker",
    "Prompt",
    "Stage",
    "Status",
    "abandoned",
    "attached",
    "became_job",
    "current_call",
    "disabled",
    "error_info",
    "find_job",
    "logger",
    "outcome_of",
    "refused_job",
    "report_failure",
    "saw_job",
    "start_call",
    "suppressed",
    "tracker_of",
]


TOO_MANY_REQUESTS = "429"
RATE_LIMIT, RETRY = "rate_limit", "retry"
"""What a call waits for between two attempts."""


class CallTracker(ProgressTracker):
    """The tracker of one instrumented call. `counts` is written by the stream's reader, without a lock."""

    __slots__ = ("counts",)

    counts: Counts

    @classmethod
    def of_call(cls, registry: ProgressRegistry, state: State) -> CallTracker:
        """The tracker of a call whose state is about to be registered."""
        tracker = cls.__new__(cls)
        tracker.registry, tracker.state, tracker._entered = registry, state, None
        tracker.counts = state.counts = Counts()
        return tracker

    def first_chunk(self) -> None:
        """The first chunk of a streamed answer has arrived."""
        self.apply(lambda s, now: call_transitions.first_chunk(s, now, Stage.STREAMING_RESPONSE))

    def prompt_processed(self, processed: int, total: int) -> None:
        """The server has processed so many of the prompt's `total` tokens, before the first chunk of its answer."""
        self.apply(call_transitions.process_prompt, processed, total)

    def record_usage(
        self,
        input: int | None = None,  # noqa: A002 - the conventions' word
        output: int | None = None,
        reasoning: int | None = None,
        cached: int | None = None,
    ) -> None:
        """Token usage as the server reported it; it replaces every estimate."""
        state, registry = self.state, self.registry
        dropped = state.dropped
        with state.lock:
            change = call_transitions.record_usage(state, input, output, reasoning, cached)
        if state.dropped != dropped:
            self._warn_once()
        if change and registry.eager:
            registry.publish(state, change)

    def set_attributes(self, attributes: dict[str, object]) -> None:
        """More attributes for the operation's span, as the answer has them: written when it ends."""
        state = self.state
        told = clean_attributes(attributes)
        state.learned = told if state.learned is None else {**state.learned, **told}

    def keep(self, content: Content) -> None:
        """Follow the call's content: its preview is shown, and more of it where that was asked for."""
        self.state.content, self.state.preview = content, content.preview()

    def reached(self, completed: float, total: float, unit: str) -> None:
        """So many units are done by now, of so many that are known of."""
        self.apply(take_over, Sighting(JobReading("", completed=completed, total=total or None, unit=unit), None))

    def retrying(self, attempt: int, error_type: str | None = None) -> None:
        """Attempt number `attempt` of the same call is sent; the one before failed with `error_type`."""
        self.registry.statistics.attempt(self.state, error_type or "unknown")
        self.apply(lambda state, now: transitions.retry(state, now, attempt))

    def wait_to_retry(self, seconds: float, error_type: str | None = None) -> None:
        """The SDK sleeps for `seconds` before its next attempt, because this one failed with `error_type`."""
        waiting_for = _awaited(error_type)
        self.apply(lambda state, now: transitions.wait_to_retry(state, now, seconds, waiting_for, error_type))

    def attempt_failed(self, error_type: str, retry_after: float | None = None) -> None:
        """An attempt has failed with `error_type`; the server wants the next one after so many seconds, if it says so.

        Only noted: whether there will be another one shows by the call going on.
        """
        now = self.registry.clock()
        until = None if retry_after is None else now + retry_after
        self.counts.failed = FailedAttempt(now, error_type, _awaited(error_type), until)

    def connecting(self) -> None:
        """The request needs a new connection: names are looked up, TCP and TLS begin."""
        self.apply(call_transitions.connect)

    def passes_to(self, stage: Stage) -> None:
        """The call enters a stage on its way: told at once where somebody watches, else only noted with its time."""
        registry = self.registry
        if registry.watched:
            self.apply(transitions.enter_stage, stage)
            return
        entered = registry.clock(), stage
        passed = self.counts.passed
        if passed is None:
            self.counts.passed = [entered]
        else:
            passed.append(entered)

    def fail_as(self, error_type: str, message: str | None) -> None:
        """End as failed with an error that the server reported: a low-cardinality type, and a message.

        The message may repeat the prompt: it is kept where content is.
        """
        told = clean(message) if message is not None and self.registry.capture.preview else None
        error = ErrorInfo(type=clean(error_type, MAX_NAME), message=told)
        self.registry.end(self.state, Status.FAILED, error=error)


def _awaited(error_type: str | None) -> str:
    return RATE_LIMIT if error_type == TOO_MANY_REQUESTS else RETRY


class CallKind:
    """What the calls to one model of one server have in common. Made once, and read by each: they share its attributes.

    `attributes` are further span attributes named by OpenTelemetry; those without a value are left out.
    """

    __slots__ = ("attributes", "model", "operation", "operation_type", "provider")

    def __init__(
        self,
        operation: str,
        provider: str,
        model: str | None = None,
        operation_type: str = "llm_request",
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self.operation = operation
        self.operation_type = operation_type
        self.provider = provider
        self.model = None if model is None else clean(model, MAX_NAME)
        named = {names.GEN_AI_OPERATION: operation, names.GEN_AI_PROVIDER: provider, names.GEN_AI_MODEL: model}
        known = {name: value for name, value in {**named, **(attributes or {})}.items() if value is not None}
        # A plain dict, which is copied at once; that nobody writes to it is the type checker's affair.
        self.attributes: Mapping[str, object] = clean_attributes(known)


def start_call(
    kind: CallKind,
    *,
    stream: bool = False,
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
    begun, foreign = None, registry.foreign
    if foreign is not None:
        begun = foreign.take(kind.operation_type) if foreign.open else None
        last_call.set(now)
    if begun is None:
        state = State(new_id(), kind.operation_type, kind.operation, now)
        state.parent_id = registry.around(current_tracker.get())
    else:
        state = begun
    state.provider, state.model, state.span_deferred = kind.provider, kind.model, True
    state.stall_after = registry.stall_limit(kind.operation_type) if stream or timeout is None else timeout
    state.attributes = kind.attributes
    if stream:
        state.max_tokens = max_tokens
    if stream or attributes or max_tokens is not None:
        state.attributes = {**kind.attributes, **_asked(stream, max_tokens, attributes or {})}
    tracker = CallTracker.of_call(registry, state)
    if begun is None:
        call_transitions.begin(state, now, Stage.SENDING_REQUEST)
        registry.add(state)
    else:
        tracker.enter_stage(Stage.SENDING_REQUEST)
    return tracker


def _asked(stream: bool, max_tokens: int | None, attributes: Mapping[str, object]) -> Mapping[str, object]:
    """What this one call asks for beside its model."""
    asked = dict(attributes)
    if stream:
        asked[names.GEN_AI_STREAM] = True
    if max_tokens is not None:
        asked[names.GEN_AI_MAX_TOKENS] = max_tokens
    return clean_attributes(asked)


def tracker_of(state: State) -> ProgressTracker:
    """A handle to an operation that is there already."""
    return ProgressTracker.of(get_progress_registry(), state)


def attached(tracker: ProgressTracker) -> AbstractContextManager[object]:
    """Decides the operation's span the first time (adopted or own), and makes it current inside the `with`."""
    return tracker.registry.attach(tracker.state)


def abandoned(tracker: ProgressTracker, reason: str, *, completed: bool = False) -> None:
    """The call's handle was dropped. Safe inside the garbage collector: the pulse ends the operation."""
    status = Status.COMPLETED if completed else Status.CANCELLED
    tracker.registry.drop(tracker.state, status, reason)
