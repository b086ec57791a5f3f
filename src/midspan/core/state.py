"""The mutable state of one operation. Written by `core/transitions.py` under `State.lock`, read by anybody.

It is a row of facts: everything that follows from facts and the time is computed when it is read.
"""

from __future__ import annotations

from _thread import RLock  # what `threading.RLock()` calls, in Python
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from midspan.core.operation import ErrorInfo, Status

if TYPE_CHECKING:
    from midspan.core.content import Content
    from midspan.core.statistics import Series

HISTORY_LIMIT = 64
"""So many of the latest changes are shown; twice as many are held, so that old ones are cut off many at a time."""
SAMPLE_LIMIT = 32


class FailedAttempt(Struct, frozen=True):
    """When an attempt of a call failed, why, what the call waits for, and until when if the server has said so."""

    at: float
    reason: str
    waiting_for: str
    until: float | None = None


class Counts:
    """What one call has brought so far. Its single writer stores plain values; nobody locks.

    Nearly every chunk is one token: those are `singles`, one number for both, because chunks are what is hot. `passed`
    are stages that it has entered, with their times, `failed` is the attempt that has failed last: `absorb` takes them
    over.
    """

    __slots__ = ("bytes", "failed", "others", "passed", "singles", "tokens_of_others")

    def __init__(self) -> None:
        self.singles = 0
        self.others = 0
        self.tokens_of_others = 0
        self.bytes = 0
        self.passed: list[tuple[float, str]] | None = None
        self.failed: FailedAttempt | None = None

    @property
    def chunks(self) -> int:
        """Parts of the answer that have arrived."""
        return self.singles + self.others

    @property
    def tokens(self) -> int:
        """An estimate (chunks that carried content) until the server reports its usage."""
        return self.singles + self.tokens_of_others

    def add(self, tokens: int) -> None:
        """One chunk more, with so many tokens."""
        self.others += 1
        self.tokens_of_others += tokens


class State:
    """Facts about one operation, from its registration to its end.

    What every operation sets has a slot; the rest has its default on the class, because most operations never set it,
    and making one is in every call's way. `stalled` is what readers were told last, `told` that they heard of the
    operation when it was a second old. Its span has `attributes` from its start, and what was `learned` since
    at its end.
    """

    __slots__ = (
        "__dict__",
        "attributes",
        "bytes",
        "counts",
        "created_at",
        "dropped",
        "ended_at",
        "epoch",
        "error",
        "floor",
        "history",
        "input_tokens",
        "learned",
        "lock",
        "message",
        "model",
        "name",
        "operation_id",
        "operation_type",
        "output_tokens",
        "parent_id",
        "progressed_at",
        "provider",
        "published",
        "reported",
        "root_id",
        "sample_due",
        "sampled",
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
        "tokens_reported",
        "told",
        "total_steps",
        "trace_id",
        "updated_at",
        "updates",
    )  # fmt: skip

    metadata: dict[str, Any] | None = None
    result: object = None
    preview: str | None = None
    content: Content | None = None

    waiting_for: str | None = None
    stage_progress: float | None = None
    plan: dict[str, tuple[float, float]] | None = None
    allow_regress: bool = False
    completed: float | None = None
    total: float | None = None
    unit: str | None = None
    succeeded: int = 0
    failed: int = 0
    items_cancelled: int = 0

    deadline_at: float | None = None
    stalled: bool = False
    samples: deque[tuple[float, float]] | None = None
    first_estimate: tuple[float, float, str] | None = None

    warned: bool = False

    chunks: int | None = None
    max_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    time_to_first_chunk: float | None = None
    attempt: int = 1
    next_retry_at: float | None = None

    children: dict[str, State] | None = None
    children_started: int = 0
    children_weight: float = 0.0
    children_done: float = 0.0
    expected_children: int = 0
    weight: float = 1.0
    cancel_mode: str = "none"
    cancel_requested_at: float | None = None
    cancel_reason: str | None = None
    on_cancel: Callable[[], object] | None = None
    principal: str | None = None
    external: bool = False
    finish_at: float | None = None
    """When whoever does the work expects to end, in Unix seconds."""
    learned_at: float | None = None
    """When an ending was heard of that had happened earlier."""
    at_exit: str | None = None
    """Why the operation is left when the process ends, where the work itself goes on elsewhere."""

    def __init__(self, operation_id: str, operation_type: str, name: str, now: float) -> None:
        # Re-entrant: a signal handler may report progress on what its own thread is writing.
        self.lock = RLock()
        self.operation_id = operation_id
        self.operation_type = operation_type
        self.name = name
        self.parent_id: str | None = None
        self.root_id: str | None = None
        # Microseconds: beyond 2**53 a browser would lose the last digits.
        self.epoch = int(now * 1e6)
        self.created_at = self.updated_at = self.progressed_at = self.stage_since = now
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.stall_after = 60.0
        self.status: Status = Status.PENDING
        self.status_reason: str | None = None
        self.error: ErrorInfo | None = None
        self.stage: str | None = None
        self.stage_times: list[tuple[str, float]] = []
        self.stages_completed: list[str] = []
        self.history: list[tuple[Any, ...]] = []
        self.sequence = self.published = self.updates = self.dropped = 0
        self.told = False
        self.step: int | None = None
        self.total_steps: int | None = None
        self.reported: float | None = None
        self.floor = self.sample_due = 0.0
        self.message: str | None = None
        self.provider: str | None = None
        self.model: str | None = None
        self.counts: Counts | None = None
        self.bytes: int | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.tokens_reported = False
        self.series: Series | None = None
        self.attributes: Mapping[str, Any] | None = None
        self.learned: Mapping[str, Any] | None = None
        self.span: Any = None
        self.span_deferred = False
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.sampled = False

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
