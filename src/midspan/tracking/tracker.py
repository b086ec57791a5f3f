"""The tracker: the one handle that writes an operation; the registry that makes trackers; the default of both.

Longer than its aim: the two classes make each other, and a cycle of modules would hide that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVarTuple
from uuid import uuid4

from midspan.core import failures, transitions
from midspan.core.bounds import amount, whole_count
from midspan.core.content import NO_CAPTURE
from midspan.core.operation import Operation, Stage, Status
from midspan.core.registry import AlreadyRunningError, Registry
from midspan.core.retention import Limits
from midspan.core.snapshot import revive, snapshot
from midspan.core.stages import STANDARD_PLAN
from midspan.core.state import State
from midspan.core.text import MAX_NAME, check_id, clean, merge_metadata
from midspan.core.transitions import LOUD
from midspan.core.transitions import update as transition_update
from midspan.tracking.activation import Activation, current_tracker
from midspan.tracking.arguments import deadline as read_deadline
from midspan.tracking.arguments import new_id, number, text, whole, word
from midspan.tracking.clock import steady_clock
from midspan.tracking.errors import error_info
from midspan.tracking.foreign import ForeignSpans, SpanClaims
from midspan.tracking.outcome import Outcome, kept_result, outcome_of

Given = TypeVarTuple("Given")
Kind = type[BaseException] | None
_COMPLETED = Outcome(Status.COMPLETED)


class ProgressTracker:
    """Writes one operation (seed S0-09). Thread-safe; a late or out-of-range value is clamped or dropped, and counted.

    Constructing registers the operation as pending; the first update starts it. Used in `with` or `async with`, the
    operation is current inside, completes at the end, fails with the exception, and is cancelled when that is a
    cancellation. Raises TypeError for a wrong type, ValueError for an invalid `operation_id` or one still running.
    """

    __slots__ = ("_entered", "registry", "state")

    registry: ProgressRegistry
    """The registry that the operation belongs to."""
    state: State
    """The live state, for what is built on trackers."""

    def __init__(
        self,
        operation_id: str | None = None,
        operation_type: str = "general",
        total_steps: int | None = None,
        *,
        name: str | None = None,
        total: float | None = None,
        unit: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        parent: ProgressTracker | str | None = None,
        expect_children: int = 0,
        weight: float = 1.0,
        deadline: float | datetime | None = None,
        stall_after: float | None = None,
        allow_regress: bool = False,
        provider: str | None = None,
        model: str | None = None,
        span_deferred: bool = False,
        registry: ProgressRegistry | None = None,
    ) -> None:
        registry = self.registry = get_progress_registry() if registry is None else registry
        self._entered: list[AbstractContextManager[object]] | None = None
        kind = str(text("operation_type", operation_type))
        title = kind if name is None else text("name", name)
        steps = None if total_steps is None else whole_count(whole("total_steps", total_steps))
        items = None if total is None else amount(number("total", total))
        limit = None if stall_after is None else number("stall_after", stall_after)
        children = whole_count(whole("expect_children", expect_children))
        share = amount(number("weight", weight))
        if deadline is not None and not isinstance(deadline, datetime):
            deadline = number("deadline", deadline)
        if operation_id is not None:
            check_id(operation_id)
        if isinstance(parent, str):
            check_id(parent)
        state = None
        try:
            now = registry.clock()
            kind = clean(kind, MAX_NAME)
            state = State(operation_id or new_id(), kind, clean(title, MAX_NAME), now)
            state.total_steps, state.total = steps, items
            state.unit, state.provider, state.model = word(unit), word(provider), word(model)
            state.parent_id = _parent_id(parent, registry)
            state.expected_children, state.weight = children, 1.0 if share is None else share
            state.deadline_at = read_deadline(deadline, now)
            state.allow_regress = allow_regress
            state.stall_after = registry.stall_limit(kind) if limit is None or limit != limit else limit
            state.span_deferred = span_deferred
            state.plan = STANDARD_PLAN if kind == "llm_request" else None
            if metadata:
                state.metadata = {}
                merge_metadata(state.metadata, metadata)
            registry.add(state)
        except AlreadyRunningError:
            raise
        except Exception:
            failures.report("tracker")
        # After a failure of ours the handle is one that nobody sees.
        self.state = State(operation_id or uuid4().hex, kind, title, time.time()) if state is None else state

    @classmethod
    def of(cls, registry: ProgressRegistry, state: State) -> Self:
        """A handle to an operation that is registered already."""
        tracker = cls.__new__(cls)
        tracker.registry, tracker.state, tracker._entered = registry, state, None
        return tracker

    # --- reading ------------------------------------------------------------------------------

    @property
    def operation_id(self) -> str:
        """The operation's id."""
        return self.state.operation_id

    @property
    def status(self) -> Status:
        """The operation's lifecycle status now."""
        return self.state.status

    @property
    def is_ended(self) -> bool:
        """True once the operation has ended."""
        return self.state.ended_at is not None

    @property
    def cancel_requested(self) -> bool:
        """True once somebody has asked for a cancellation. Looking is what makes an operation cooperative."""
        state = self.state
        if state.cancel_mode == "none":
            state.cancel_mode = "cooperative"
        return state.cancel_requested_at is not None

    def get_progress_details(self) -> Operation:
        """The operation at this instant (seed S0-31)."""
        registry = self.registry
        return snapshot(self.state, registry.clock(), registry.owner)

    # --- progress -----------------------------------------------------------------------------

    def update(
        self,
        step: int | None = None,
        message: str | None = None,
        *,
        progress: float | None = None,
        stage: str | None = None,
        total_steps: int | None = None,
        **data: Any,
    ) -> None:
        """Report progress: the step reached (of `total_steps`), a message, a fraction from 0 to 1, a stage, any data.

        Out-of-range and late values are clamped or dropped, counted, and warned of once. Raises TypeError for a wrong
        type only.
        """
        if step is not None and step.__class__ is not int:
            step = whole("step", step)
        if progress is not None and progress.__class__ is not float:
            progress = number("progress", progress)
        if message is not None and message.__class__ is not str:
            message = text("message", message)
        if total_steps is not None:
            self._set_total_steps(whole("total_steps", total_steps))
        if stage is not None:
            self.enter_stage(stage)
        state, registry = self.state, self.registry
        try:
            with state.lock:
                dropped = state.dropped
                change = transition_update(state, registry.clock(), step, message, progress, data)
            if state.dropped != dropped:
                self._warn_once()
            if registry.eager or change == LOUD:
                registry.publish(state, change)
        except Exception:
            failures.report("tracker")

    def advance(self, n: float = 1, *, outcome: str | None = None) -> None:
        """Count `n` more items as done; `outcome` says how they ended: succeeded, failed or cancelled."""
        items = number("n", n)
        self.apply(transitions.advance, items, outcome)

    def enter_stage(self, stage: str, message: str | None = None) -> None:
        """Enter a stage (a standard `Stage` or any string), leaving the one before."""
        if stage.__class__ is not Stage:
            text("stage", stage)
        self.apply(transitions.enter_stage, stage, message)

    def start(self) -> None:
        """pending → running; the first update does the same."""
        self.apply(transitions.start)

    def set_total(self, total: float | None, unit: str | None = None) -> None:
        """Say how many items there are in all (None: unknown), and what one is called."""
        items = None if total is None else number("total", total)
        if unit is not None:
            text("unit", unit)
        self.apply(lambda state, _: transitions.set_total(state, items, unit))

    def _set_total_steps(self, total_steps: int) -> None:
        self.apply(lambda state, _: transitions.set_total_steps(state, total_steps))

    def request_cancel(self) -> None:
        """Ask for a cancellation; `cancel_requested` tells the operation."""
        self.apply(transitions.request_cancel)

    def apply(self, transition: Callable[[State, float, *Given], int], *given: *Given) -> None:
        """Change the state under its lock and tell who must know at once: the one write path.

        The transition gets the state, the time in Unix seconds, and what is `given`.
        """
        state, registry = self.state, self.registry
        try:
            now = registry.clock()
            dropped = state.dropped
            with state.lock:
                change = transition(state, now, *given)
            if state.dropped != dropped:
                self._warn_once()
            if change == LOUD or (change and registry.eager):
                registry.publish(state, change)
        except Exception:
            failures.report("tracker")

    def _warn_once(self) -> None:
        if not self.state.warned:
            self.state.warned = True
            failures.logger.warning(
                "midspan: operation %s: a progress value was out of range, falling or late, and was clamped or dropped;"
                " further ones are only counted",
                self.operation_id,
            )

    # --- endings --------------------------------------------------------------------------------

    def complete(self, message: str | None = None, result: object = None) -> None:
        """End as completed, with progress 1.0 unless its item counts say otherwise (seed S0-30)."""
        self._end_as(_COMPLETED, message, result)

    def fail(self, error: BaseException | str = "failed", message: str | None = None) -> None:
        """End as failed. The error's type and first line are kept, never its traceback."""
        self._end(lambda: Outcome(Status.FAILED, None, error_info(error, self.registry.capture.preview)), message)

    def cancel(self, reason: str | None = None) -> None:
        """End as cancelled: that is not a failure. The reason is by default that of the request to cancel, if any."""
        known = self.state.cancel_reason
        self._end(lambda: Outcome(Status.CANCELLED, known if reason is None else clean(str(reason))))

    def end_with(self, error: BaseException | None) -> None:
        """End as the way a body of code was left says: completed, failed or cancelled."""
        self._end(lambda: outcome_of(error, self.registry.capture.preview))

    def _end(self, find: Callable[[], Outcome], message: str | None = None) -> None:
        try:
            outcome = find()
        except Exception:
            failures.report("tracker")
        else:
            self._end_as(outcome, message)

    def _end_as(self, outcome: Outcome, message: str | None = None, result: object = None) -> None:
        try:
            status, reason, error = outcome
            kept = None if result is None else kept_result(result)
            if not self.registry.end(self.state, status, reason, message, error, kept):
                self._warn_once()
        except Exception:
            failures.report("tracker")

    # --- being current --------------------------------------------------------------------------

    def activate(self) -> AbstractContextManager[object]:
        """Make the operation (and its span) current inside a `with`, without ending it there."""
        return Activation(self, self.registry.attach(self.state))

    def __enter__(self) -> Self:
        self.start()
        try:
            activation = self.activate()
            activation.__enter__()
            if self._entered is None:
                self._entered = []
            self._entered.append(activation)
        except Exception:
            failures.report("tracker")
        return self

    def __exit__(self, kind: Kind, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._entered:
                self._entered.pop().__exit__(kind, error, trace)
        except Exception:
            failures.report("tracker")
        if not self.state.is_ended:
            self.end_with(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: Kind, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        state = self.state
        return f"<ProgressTracker {state.operation_id} {state.name} {state.status}>"


def _parent_id(parent: ProgressTracker | str | None, registry: ProgressRegistry) -> str | None:
    if isinstance(parent, str):
        return check_id(parent)
    return registry.around(current_tracker.get()) if parent is None else parent.operation_id


def no_span(state: State) -> AbstractContextManager[object]:
    """`ProgressRegistry.attach` where nobody records spans."""
    return nullcontext()


class ProgressRegistry(Registry):
    """The registry that makes trackers (seed S0-16). One per process is enough: `get_progress_registry()`."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = steady_clock.now,
        limits: Limits | None = None,
        stall_after: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(clock=clock, limits=limits, stall_after=stall_after)
        self.attach: Callable[[State], AbstractContextManager[object]] = no_span
        self.foreign: ForeignSpans | None = None
        self.capture = NO_CAPTURE
        self.span_claims = SpanClaims()

    def create_tracker(
        self,
        operation_id: str | None = None,
        operation_type: str = "general",
        total_steps: int | None = None,
        **options: Any,
    ) -> ProgressTracker:
        """A new tracker, registered here (seed S0-35); `options` are those of `ProgressTracker`."""
        return ProgressTracker(operation_id, operation_type, total_steps, registry=self, **options)

    def around(self, tracker: ProgressTracker | None) -> str | None:
        """The id of the operation around the running code, of which `tracker` is the current one."""
        if self.foreign is not None and self.foreign.open:
            return self.foreign.around(tracker)
        return None if tracker is None else tracker.operation_id

    def get_tracker(self, operation_id: str) -> ProgressTracker | None:
        """A handle to a running or an ended operation (seed S0-17); None when it is not known."""
        state = self.state(operation_id)
        if state is None:
            ended = self.get(operation_id)
            state = None if ended is None else revive(ended)
        return None if state is None else ProgressTracker.of(self, state)

    def get_active_trackers(self) -> list[ProgressTracker]:
        """Handles to the operations that have not ended, oldest first (seed S0-18)."""
        return [ProgressTracker.of(self, state) for state in self.running()]

    def get_all_trackers(self) -> list[ProgressTracker]:
        """Handles to every operation, running or ended, newest first (seed S0-36)."""
        handles = (self.get_tracker(operation.operation_id) for operation in self.operations())
        return [handle for handle in handles if handle is not None]


_default_registry = ProgressRegistry()


def get_progress_registry() -> ProgressRegistry:
    """The process-wide registry (seed S0-34)."""
    return _default_registry


def get_progress_tracker() -> ProgressTracker:
    """The tracker that the running code belongs to (seed S0-37).

    Outside of any tracked code this is a tracker of its own that nobody sees, so that library code can report progress
    without asking whether somebody watches.
    """
    tracker = current_tracker.get()
    return ProgressTracker(registry=ProgressRegistry()) if tracker is None else tracker
