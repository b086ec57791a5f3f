"""Cancelling on request, for every native surface: what comes of it, or the problem."""

from __future__ import annotations

from midspan.core.operation import Operation, Status
from midspan.server import ingest
from midspan.server.problem import Problem
from midspan.server.visible import unknown
from midspan.tracking.cancelling import CancelOutcome, request_cancel
from midspan.tracking.tracker import ProgressRegistry


def cancelled(registry: ProgressRegistry, operation_id: str, reason: str | None) -> Operation:
    """The operation after it was asked to stop; that may have been before, and it may have stopped already.

    Raises Problem: 404, 409 when it cannot be cancelled from outside or has ended otherwise.
    """
    outcome = request_cancel(registry, operation_id, reason)
    operation = registry.get(operation_id)
    if operation is None:
        raise unknown(operation_id)
    if outcome is CancelOutcome.UNSUPPORTED:
        raise Problem(409, "cancel-not-supported", f"operation {operation_id!r} cannot be cancelled from outside")
    if outcome is CancelOutcome.ENDED and operation.status is not Status.CANCELLED:
        raise ingest.ended(operation_id, operation.status)
    return operation
