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
    """Facts about one operation, from its registration to its end.

    The defaults stand on the class: most operations set a third of the fields, and making one is in every call's way.
    `stalled` is what readers were told last, `told` that they heard of the operation when it was a second old.
    """

    status: Status = Status.PENDING
    status_reason: str | None = None
    error: ErrorInfo | None = None
    message: str | None = None
    metadata: dict[str, Any] | None = None
    result: object = None
    preview: str | None = None

    stage: str | None = None
    waiting_for: str | None = None
    plan: dict[str, tuple[float, float]] | None = None
    reported: float | None = None
    floor: float = 0.0
    allow_regress: bool = False
    step: int | None = None
    total_steps: int | None = None
    completed: float | None = None
    total: float | None = None
    unit: str | None = None
    succeeded: int = 0
    failed: int = 0
    items_cancelled: int = 0

    started_at: float | None = None
    ended_at: float | None = None
    deadline_at: float | None = None
    stall_after: float = 60.0
    stalled: bool = False
    told: bool = False
    sample_due: float = 0.0
    samples: deque[tuple[float, float]] | None = None
    first_estimate: tuple[float, float, str] | None = None

    sequence: int = 0
    published: int = 0
    updates: int = 0
    dropped: int = 0
    warned: bool = False

    provider: str | None = None
    model: str | None = None
    counts: Counts | None = None
    chunks: int | None = None
    bytes: int | None = None
    max_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_reported: bool = False
    time_to_first_chunk: float | None = None
    attempt: int = 1
    next_retry_at: float | None = None

    parent_id: str | None = None
    root_id: str | None = None
    children: dict[str, State] | None = None
    children_weight: float = 0.0
    children_done: float = 0.0
    expected_children: int = 0
    weight: float = 1.0
    cancel_mode: str = "none"
    cancel_requested_at: float | None = None

    trace_id: str | None = None
    span_id: str | None = None
    sampled: bool = False
    span: object | None = None
    span_deferred: bool = False
    attributes: Mapping[str, object] | None = None
    series: Series | None = None

    def __init__(self, operation_id: str, operation_type: str, name: str, now: float) -> None:
        self.lock = threading.Lock()
        self.operation_id = operation_id
        self.operation_type = operation_type
        self.name = name
        self.epoch = int(now * 1e9)
        self.created_at = self.updated_at = self.progressed_at = self.stage_since = now
        self.stage_times: list[tuple[str, float]] = []
        self.stages_completed: list[str] = []
        self.history: deque[tuple[Any, ...]] = deque(maxlen=HISTORY_LIMIT)

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
