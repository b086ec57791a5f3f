"""Seed S3's vocabulary: processors that emit the stages of their sessions. A session is an operation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import uuid4

from midspan.core import call_transitions, failures, transitions
from midspan.core.operation import Operation, Stage
from midspan.core.stages import STANDARD_PLAN
from midspan.core.state import Counts, State
from midspan.core.text import clean, described
from midspan.core.transitions import Transition
from midspan.core.vocabulary import Row, processing_session
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker, get_progress_registry

ProcessingStage = Stage
"""The ten stages (seed S3-02 to S3-11). Members of an `Enum` of your own, or strings, are stages too."""

STAGE_PROGRESS: dict[Any, float] = {stage: start for stage, (start, _) in STANDARD_PLAN.items()}
"""Stage → progress when it begins, 0 to 1 (seed S3-40). Add yours here, or to a `STAGE_PROGRESS` of your processor."""

logger = logging.getLogger(__name__)


@dataclass
class ProcessingEvent:
    """One event of a session (seed S3-37). `timestamp` is in Unix seconds, `progress` from 0 to 1."""

    session_id: str
    stage: ProcessingStage | str
    timestamp: float
    message: str
    progress: float
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None


@dataclass
class ProcessingSession:
    """A session at one instant (seed S3-36). `streaming_tokens` stays empty: tokens are counted, not kept."""

    session_id: str
    start_time: float
    current_stage: ProcessingStage | str
    progress: float
    content_preview: str
    task: str
    model: str
    processor_type: str
    events: list[ProcessingEvent] = field(default_factory=list[ProcessingEvent])
    streaming_tokens: list[str] = field(default_factory=list[str])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None

    @classmethod
    def of(cls, operation: Operation) -> ProcessingSession:
        """The view of an operation."""
        row = processing_session(operation)
        row["current_stage"] = _member(row["current_stage"])
        row["events"] = [_event(event) for event in row["events"]]
        return cls(**row)


class BaseProcessor:
    """Inherit from it and call what it has at each stage (seed S3-38); nothing of it raises for a late or unknown id.

    `config["enable_monitoring"]` (default True) switches it off for this processor: then nothing is recorded.
    """

    STAGE_PROGRESS: Mapping[Any, float] = {}

    def __init__(self, config: Mapping[str, Any] | None = None, *, registry: ProgressRegistry | None = None) -> None:
        self.config = dict(config or {})
        self.enable_monitoring = bool(self.config.get("enable_monitoring", True))
        self._registry = get_progress_registry() if registry is None else registry

    def start_monitoring_session(self, content: object, task: str = "", model: str | None = None) -> str:
        """Begin a session and return its id. Of `content` only the length is kept, unless content is captured."""
        if self.enable_monitoring:
            try:
                return self._begin(content, task, model)
            except Exception:
                failures.report("monitor")
        return uuid4().hex

    def _begin(self, content: object, task: str, model: str | None) -> str:
        about = {"task": task, "processor_type": type(self).__name__, **_length("content_length", content)}
        plan = _plan((STAGE_PROGRESS, self.STAGE_PROGRESS))
        tracker = self._registry.create_tracker(
            None, "llm_request", name=task or type(self).__name__, model=model, metadata=about
        )
        tracker.state.plan = plan
        if self._registry.capture.preview:
            tracker.state.preview = clean(described(content))
        tracker.enter_stage(Stage.INITIALIZING, "Starting the processing session")
        logger.debug("session %s started: task %s, model %s", tracker.operation_id, task, model)
        return tracker.operation_id

    def emit_stage(
        self, session_id: str, stage: Enum | str, message: str = "", metadata: Mapping[str, Any] | None = None
    ) -> None:
        """The session enters a stage (seed S3-32); `metadata` is added to the session's."""
        name = _name(stage)
        logger.debug("session %s: %s %s", session_id, name, message)
        self._write(session_id, _entering(name, message or None, dict(metadata or {})))

    def emit_streaming_token(self, session_id: str, token: str, token_count: int | None = None) -> None:
        """One token has arrived; `token_count` is how many there are by now (seed S3-33). Its text is not kept."""
        self._write(session_id, _streaming(token, token_count))

    def finish_monitoring_session(
        self, session_id: str, success: bool = True, final_result: object = None, error: BaseException | str = "failed"
    ) -> None:
        """End the session (seed S3-34). Of `final_result` only the length is kept, unless content is captured."""
        logger.debug("session %s finished: %s", session_id, "success" if success else error)
        tracker = self._tracker(session_id)
        if tracker is None:
            return
        if data := _length("result_length", final_result):
            tracker.apply(lambda state, now: transitions.update(state, now, data=data))
        if success:
            tracker.complete(result=final_result if self._registry.capture.preview else None)
        else:
            tracker.fail(error)

    def get_monitoring_session(self, session_id: str) -> ProcessingSession | None:
        """The session as it is now, running or ended; None for one that is not known."""
        operation = self._registry.get(session_id)
        return None if operation is None else ProcessingSession.of(operation)

    def _write(self, session_id: str, transition: Transition) -> None:
        tracker = self._tracker(session_id)
        if tracker is not None:
            tracker.apply(transition)

    def _tracker(self, session_id: str) -> ProgressTracker | None:
        state = self._registry.state(session_id)
        return None if state is None else ProgressTracker.of(self._registry, state)


def _length(name: str, content: object) -> dict[str, int]:
    return {name: len(content)} if isinstance(content, (str, bytes)) else {}


def _entering(stage: str, message: str | None, data: dict[str, Any]) -> Transition:
    def enter(state: State, now: float) -> int:
        entered = transitions.enter_stage(state, now, stage, message)
        return max(entered, transitions.update(state, now, data=data)) if data else entered

    return enter


def _streaming(token: str, token_count: int | None) -> Transition:
    def receive(state: State, now: float) -> int:
        change = transitions.QUIET
        if state.counts is None:
            state.counts = Counts()
            change = transitions.enter_stage(state, now, Stage.STREAMING_RESPONSE, "Receiving the response")
            call_transitions.first_chunk(state, now, Stage.STREAMING_RESPONSE)
        counts = state.counts
        counts.add(1 if token_count is None else max(0, token_count - counts.tokens))
        counts.bytes += len(token.encode(errors="replace"))
        return change

    return receive


def _plan(sources: Iterable[Mapping[Any, float]]) -> dict[str, tuple[float, float]]:
    """The standard plan, with the starts that the mappings give; a stage of its own has no length of its own."""
    plan = dict(STANDARD_PLAN)
    for source in sources:
        for stage, start in source.items():
            name = _name(stage)
            begin = min(max(float(start), 0.0), 1.0)
            plan[name] = (begin, max(begin, plan[name][1] if name in plan else begin))
    return plan


def _event(row: Row) -> ProcessingEvent:
    row["stage"] = _member(row["stage"])
    return ProcessingEvent(**row)


def _name(stage: Enum | str) -> str:
    return str(stage.value) if isinstance(stage, Enum) else str(stage)


def _member(stage: str) -> ProcessingStage | str:
    return Stage(stage) if stage in list(Stage) else stage
