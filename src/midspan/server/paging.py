"""Pages, newest first. A cursor is a position, not a number of rows, so what comes or goes shifts nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import islice

import msgspec

from midspan.core.operation import Operation
from midspan.core.selection import Position, position
from midspan.core.wire import encode
from midspan.server.problem import Problem

_positions = msgspec.json.Decoder(Position)


def page(rows: Iterator[Operation], limit: int) -> tuple[list[Operation], str | None]:
    """The first `limit` rows, and the cursor of the next page, or None at the end."""
    taken = list(islice(rows, limit + 1))
    more = len(taken) > limit
    return taken[:limit], write_cursor(position(taken[limit - 1])) if more else None


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
