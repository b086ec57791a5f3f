"""The history of one operation, and from where on it is complete."""

from __future__ import annotations

from typing import Any

from midspan.core.operation import Operation
from midspan.core.snapshot import ENDED_EVENTS
from midspan.core.state import HISTORY_LIMIT
from midspan.core.wire import to_dict
from midspan.server.problem import Problem


def events_after(operation: Operation, after: int | None) -> dict[str, Any]:
    """Its events beyond the sequence `after`, oldest first; None: all that are kept.

    Raises Problem (410) when some of those asked for are not kept any more.
    """
    oldest = complete_from(operation)
    if after is not None and after + 1 < oldest:
        detail = f"events before sequence {oldest} are not kept any more; read the operation, then go on from there"
        raise Problem(410, "events-trimmed", detail, oldest_seq=oldest)
    events = [event for event in to_dict(operation)["history"] if event["sequence"] > (after or 0)]
    return {"operation_id": operation.operation_id, "events": events, "oldest_seq": oldest}


def complete_from(operation: Operation) -> int:
    """The sequence from which on no event is missing; 0: none ever was.

    Not every sequence number has an event, so that only a full history can lack some.
    """
    sequences = [event.sequence for event in operation.history]
    if len(sequences) < (ENDED_EVENTS if operation.is_terminal else HISTORY_LIMIT):
        return 0
    if not operation.is_terminal:
        return sequences[0]
    oldest = sequences[-1]
    for sequence in reversed(sequences[:-1]):
        if sequence != oldest - 1:
            break
        oldest = sequence
    return oldest
