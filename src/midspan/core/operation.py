"""The values that everything but a tracker reads: `Operation` and its parts, all frozen.

Times are Unix seconds (UTC, float); `core/wire.py` shows them as RFC 3339. Unknown is `None`, never 0. Fields at their
default are left out of the bytes that are kept.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

RESERVED_IDS = frozenset({"operations", "active", "summary", "cleanup", "stream", "ws"})
"""Ids that would collide with the paths of the HTTP dialects (seed checklist, ruling C19)."""


class Status(StrEnum):
    """Lifecycle of an operation (seed S0-11, and `lost`). `stalled` is a flag, not a status."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_terminal(self) -> bool:
        """True for the four statuses that never change again."""
        return self not in (Status.PENDING, Status.RUNNING)


class Stage(StrEnum):
    """The standard stages (seed S3-02 to S3-11) and two observable ones. Any other string is a stage too."""

    INITIALIZING = "initializing"
    VALIDATING_INPUT = "validating_input"
    RESOLVING_TEMPLATE = "resolving_template"
    GENERATING_PROMPT = "generating_prompt"
    SELECTING_MODEL = "selecting_model"
    CONNECTING_TO_MODEL = "connecting_to_model"
    SENDING_REQUEST = "sending_request"
    STREAMING_RESPONSE = "streaming_response"
    PROCESSING_RESPONSE = "processing_response"
    COLLECTING_METADATA = "collecting_metadata"
    WAITING_FIRST_CHUNK = "waiting_first_chunk"
    RETRYING = "retrying"


class OperationType(StrEnum):
    """The standard operation types. Any other string is a type too."""

    GENERAL = "general"
    LLM_REQUEST = "llm_request"
    EMBEDDING = "embedding"
    BATCH = "batch"
    FINE_TUNING = "fine_tuning"
    FILE_TRANSFER = "file_transfer"
    MODEL_PULL = "model_pull"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    RETRIEVAL = "retrieval"
    TOOL = "tool"
    AGENT = "agent"
    WORKFLOW = "workflow"
    LOOP = "loop"


class ItemCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the items of an operation ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts. `estimated` is True while `output` is counted by midspan, not told by the server."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    estimated: bool = False


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an operation failed: a low-cardinality type (`error.type`) and a message of at most 512 characters."""

    type: str
    message: str | None = None


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The range of the remaining time, in seconds, and the method that gave it."""

    low: float
    high: float
    method: str


class Cancel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an operation can be cancelled: `none`, `cooperative` or `native`, and when that was asked for."""

    mode: str = "none"
    requested_at: float | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The process that runs an operation."""

    service: str | None = None
    instance: str | None = None
    host: str | None = None
    pid: int | None = None
    principal: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One accepted change in an operation's history, its fields in the order in which a state remembers them.

    `type` is start, update, stage, stall, resume or end.
    """

    sequence: int
    type: str
    at: float
    stage: str | None = None
    progress: float | None = None
    step: int | None = None
    message: str | None = None
    data: dict[str, Any] | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation at one instant. Every surface shows this value and has no model of its own."""

    operation_id: str
    operation_type: str
    name: str
    status: Status
    status_reason: str | None = None
    stage: str | None = None
    stage_progress: float | None = None
    stages_completed: tuple[str, ...] = ()
    waiting_for: str | None = None
    progress: float | None = None
    progress_source: str | None = None
    step: int | None = None
    total_steps: int | None = None
    completed: float | None = None
    total: float | None = None
    unit: str | None = None
    counts: ItemCounts | None = None
    message: str | None = None
    metadata: dict[str, Any] | None = None
    result: Any = None
    error: ErrorInfo | None = None
    content_preview: str | None = None
    provider: str | None = None
    model: str | None = None
    tokens: Tokens | None = None
    chunks: int | None = None
    bytes: int | None = None
    time_to_first_chunk: float | None = None
    tokens_per_second: float | None = None
    attempt: int = 1
    next_retry_at: float | None = None
    created_at: float
    started_at: float | None = None
    updated_at: float
    progressed_at: float
    ended_at: float | None = None
    deadline_at: float | None = None
    elapsed_seconds: float = 0.0
    estimated_remaining_seconds: float | None = None
    estimate: Estimate | None = None
    stalled: bool = False
    cancel: Cancel = Cancel()
    parent_id: str | None = None
    root_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    owner: Owner | None = None
    epoch: int = 0
    sequence: int = 0
    history: tuple[Event, ...] = ()

    @property
    def percent_complete(self) -> float | None:
        """Progress from 0 to 100 with one decimal (seed S0-32), or None when it is unknown."""
        return None if self.progress is None else round(self.progress * 100, 1)

    @property
    def is_terminal(self) -> bool:
        """True once the operation has ended."""
        return self.status.is_terminal
