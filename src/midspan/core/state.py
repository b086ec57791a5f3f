"""The mutable state of one operation. Written by `core/transitions.py` under `State.lock`, read by anybody.

It is a row of facts: everything that follows from facts and the time is computed when it is read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from midspan.core.operation import ErrorInfo, Status

if TYPE_CHECKING:
    from midspan.core.statistics import Series

HISTORY_LIMIT = 64
SAMPLE_LIMIT = 32


class Counts:
    """What one stream has brought so far. Its single writer stores plain integers; nobody locks.

    `tokens` is an estimate (chunks that carried content) until the server reports its usage.
    """

    __slots__ = ("bytes", "chunks", "tokens")

    def __init__(self) -> None:
        self.chunks = 0
        self.tokens = 0
        self.bytes = 0


class State:
    """Facts about one operation, from its registration to its end."""

    __slots__ = (
        "allow_regress",
        "attempt",
        "attributes",
        "bytes",
        "cached_tokens",
        "cancel_mode",
        "cancel_requested_at",
        "children",
        "children_done",
        "children_weight",
        "chunks",
        "completed",
        "counts",
        "created_at",
        "deadline_at",
        "dropped",
        "ended_at",
        "epoch",
        "error",
        "expected_children",
        "failed",
        "first_estimate",
        "floor",
        "history",
        "input_tokens",
        "items_cancelled",
        "lock",
        "max_tokens",
        "message",
        "metadata",
        "model",
        "name",
        "next_retry_at",
        "operation_id",
        "operation_type",
        "output_tokens",
        "parent_id",
        "plan",
        "preview",
        "progressed_at",
        "provider",
        "published",
        "reasoning_tokens",
        "reported",
        "result",
        "root_id",
        "sample_due",
        "sampled",
        "samples",
        "sequence",
        "series",
        "span",
        "span_deferred",
        "span_id",
        "stage",
        "stage_since",
        "stage_times",
        "stages_completed",
        "stall_after",
        "started_at",
        "status",
        "status_reason",
        "step",
        "succeeded",
        "time_to_first_chunk",
        "tokens_reported",
        "total",
        "total_steps",
        "trace_id",
        "unit",
        "updated_at",
        "updates",
        "waiting_for",
        "warned",
        "weight",
    )

    def __init__(self, operation_id: str, operation_type: str, name: str, now: float) -> None:
        self.lock = threading.Lock()
        self.operation_id = operation_id
        self.operation_type = operation_type
        self.name = name
        self.provider: str | None = None
        self.model: str | None = None
        self.parent_id: str | None = None
        self.root_id: str | None = None
        self.epoch = int(now * 1e9)
        self._set_progress(now)
        self._set_content()
        self._set_stream()
        self._set_relations()

    def _set_progress(self, now: float) -> None:
        self.status = Status.PENDING
        self.status_reason: str | None = None
        self.stage: str | None = None
        self.stage_since = now
        self.stage_times: list[tuple[str, float]] = []
        self.stages_completed: list[str] = []
        self.waiting_for: str | None = None
        self.plan: dict[str, tuple[float, float]] | None = None
        self.reported: float | None = None
        self.floor = 0.0
        self.allow_regress = False
        self.step: int | None = None
        self.total_steps: int | None = None
        self.completed: float | None = None
        self.total: float | None = None
        self.unit: str | None = None
        self.succeeded = self.failed = self.items_cancelled = 0
        self.created_at = self.updated_at = self.progressed_at = now
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.deadline_at: float | None = None
        self.stall_after = 60.0
        self.samples: deque[tuple[float, float]] = deque(maxlen=SAMPLE_LIMIT)
        self.sample_due = 0.0
        self.first_estimate: tuple[float, float, str] | None = None
        self.sequence = 0
        self.published = 0
        self.updates = 0
        self.dropped = 0
        self.warned = False
        self.history: deque[tuple[Any, ...]] = deque(maxlen=HISTORY_LIMIT)

    def _set_content(self) -> None:
        self.message: str | None = None
        self.metadata: dict[str, Any] | None = None
        self.result: object = None
        self.error: ErrorInfo | None = None
        self.preview: str | None = None

    def _set_stream(self) -> None:
        self.counts: Counts | None = None
        self.chunks: int | None = None
        self.bytes: int | None = None
        self.max_tokens: int | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.tokens_reported = False
        self.time_to_first_chunk: float | None = None
        self.attempt = 1
        self.next_retry_at: float | None = None

    def _set_relations(self) -> None:
        self.children: dict[str, State] = {}
        self.children_weight = 0.0
        self.children_done = 0.0
        self.expected_children = 0
        self.weight = 1.0
        self.cancel_mode = "none"
        self.cancel_requested_at: float | None = None
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.sampled = False
        self.span: object | None = None
        self.span_deferred = False
        self.attributes: Mapping[str, object] | None = None
        self.series: Series | None = None

    @property
    def is_ended(self) -> bool:
        """True once a terminal status was reached."""
        return self.ended_at is not None

    @property
    def duration(self) -> float:
        """Seconds from start (or creation) to end; 0 while running."""
        if self.ended_at is None:
            return 0.0
        return max(0.0, self.ended_at - (self.started_at or self.created_at))
