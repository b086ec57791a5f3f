"""Asking a running operation to stop, by its id: the one way for every surface."""

from __future__ import annotations

from enum import StrEnum

from midspan.core import failures
from midspan.core.text import clean
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

ON_REQUEST = "cancelled on request"


class CancelOutcome(StrEnum):
    """What came of a request to cancel."""

    REQUESTED = "requested"
    """It was asked, now or before. Whether and when it stops is seen in its status: it may still complete."""
    ENDED = "ended"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


def request_cancel(registry: ProgressRegistry, operation_id: str, reason: str | None = None) -> CancelOutcome:
    """Ask the operation to stop: a coroutine is cancelled, other code finds `cancel_requested` set. Idempotent.

    `reason` becomes the `status_reason` of an operation that ends cancelled for it. An operation whose cancel mode is
    `none` is left alone.
    """
    state = registry.state(operation_id)
    if state is None:
        return CancelOutcome.UNKNOWN if registry.get(operation_id) is None else CancelOutcome.ENDED
    if state.cancel_mode == "none":
        return CancelOutcome.UNSUPPORTED
    if state.cancel_requested_at is None:
        state.cancel_reason = ON_REQUEST if not reason else clean(reason)
        ProgressTracker.of(registry, state).request_cancel()
        if state.on_cancel is not None:
            try:
                state.on_cancel()
            except Exception:
                failures.report("cancel")
    return CancelOutcome.REQUESTED
