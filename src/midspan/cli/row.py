"""An operation as the HTTP API and the feed show it, read back: the part that a terminal draws."""

from __future__ import annotations

from datetime import datetime

import msgspec

ENDED = ("completed", "failed", "cancelled", "lost")


class TokenCounts(msgspec.Struct, frozen=True):
    """Counts so far; `estimated` while midspan counted them, not the server."""

    input: int | None = None
    output: int | None = None
    estimated: bool = False


class Failure(msgspec.Struct, frozen=True):
    """Why an operation failed."""

    type: str
    message: str | None = None


class Cancel(msgspec.Struct, frozen=True):
    """How an operation can be cancelled: `none`, `cooperative` or `native`."""

    mode: str = "none"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One operation at one instant. Fields it does not name are left aside, unknown is None."""

    operation_id: str
    operation_type: str
    name: str
    status: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stage: str | None = None
    status_reason: str | None = None
    progress: float | None = None
    message: str | None = None
    model: str | None = None
    tokens: TokenCounts | None = None
    chunks: int | None = None
    tokens_per_second: float | None = None
    elapsed_seconds: float = 0.0
    estimated_remaining_seconds: float | None = None
    stalled: bool = False
    error: Failure | None = None
    cancel: Cancel = Cancel()
    trace_id: str | None = None
    span_id: str | None = None

    @property
    def ended(self) -> bool:
        """True once the operation never changes again."""
        return self.status in ENDED

    @property
    def title(self) -> str:
        """Its name and its model, where it has one."""
        return f"{self.name} {self.model}" if self.model else self.name

    @property
    def what(self) -> str:
        """The stage while it runs, the status once it has ended."""
        if self.ended or self.stage is None:
            return self.status
        return f"{self.stage} (stalled)" if self.stalled else self.stage

    def elapsed(self, now: datetime) -> float:
        """Seconds from its start to its end, or to `now` (aware) while it runs: it ticks between reports."""
        if self.ended or self.started_at is None:
            return self.elapsed_seconds
        return max(self.elapsed_seconds, (now - self.started_at).total_seconds())
