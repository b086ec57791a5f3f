"""Pages, newest first. A cursor is a position, not a number of rows, so what comes or goes shifts nothing."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable

import msgspec

from midspan.core.operation import Operation
from midspan.core.wire import encode
from midspan.server.problem import Problem

Position = tuple[float, str]
"""(created_at, operation_id): unique, and the same for an operation's whole life."""

_positions = msgspec.json.Decoder(Position)


def position(operation: Operation) -> Position:
    """Where an operation stands in the order."""
    return operation.created_at, operation.operation_id


def page(operations: Iterable[Operation], limit: int, after: Position | None) -> tuple[list[Operation], str | None]:
    """The newest `limit` operations beyond `after`, and the cursor of the next page, or None at the end."""
    left = (each for each in operations if after is None or position(each) < after)
    rows = heapq.nlargest(limit + 1, left, key=position)
    more = len(rows) > limit
    return rows[:limit], write_cursor(position(rows[limit - 1])) if more else None


def write_cursor(at: Position) -> str:
    """A position as opaque URL-safe text."""
    return base64.urlsafe_b64encode(encode(at)).rstrip(b"=").decode()


def read_cursor(text: str) -> Position:
    """The position that a cursor names. Raises Problem (400) for text that is no cursor."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _positions.decode(raw)
    except ValueError:
        detail = "this is no cursor: take next_cursor from the page before"
        raise Problem(400, "bad-cursor", detail, parameter="cursor") from None
