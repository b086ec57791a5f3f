"""What a watched command has reported so far: the newest state of each operation."""

from __future__ import annotations

from collections import Counter

import msgspec

from midspan.cli.row import Row

MAX_ROWS = 10_000


class Announcement(msgspec.Struct, frozen=True):
    """Where the command's own server listens."""

    server: str


_rows = msgspec.json.Decoder(Row)
_announcements = msgspec.json.Decoder(Announcement)


class Forgotten:
    """What is still known of ended operations that have made room: how many ended in which way, and the slowest."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest: Row | None = None

    def add(self, row: Row) -> None:
        """Count one more."""
        self.counts[row.status] += 1
        if self.slowest is None or row.elapsed_seconds > self.slowest.elapsed_seconds:
            self.slowest = row


class Board:
    """The newest state per operation, in the order in which they first appeared.

    Of more than 10,000 the oldest ended ones are only counted; how many may run, the program's own midspan limits.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.forgotten = Forgotten()
        self.server: str | None = None
        self.unreadable = 0

    def apply(self, line: bytes) -> Row | Announcement | None:
        """Takes in one line of the feed and returns what it said; None for a line that says nothing new."""
        try:
            if line.startswith(b'{"server"'):
                announcement = _announcements.decode(line)
                self.server = announcement.server
                return announcement
            return self._keep(_rows.decode(line))
        except msgspec.MsgspecError:
            # A process that was killed in mid-write leaves half a line.
            self.unreadable += 1
            return None

    def _keep(self, row: Row) -> Row | None:
        known = self.rows.get(row.operation_id)
        if known is not None and known.ended:
            return None
        self.rows[row.operation_id] = row
        if len(self.rows) > MAX_ROWS:
            self._make_room()
        return row

    def _make_room(self) -> None:
        oldest = next((row for row in self.rows.values() if row.ended), None)
        if oldest is not None:
            self.forgotten.add(self.rows.pop(oldest.operation_id))

    def close(self) -> list[Row]:
        """Marks what still ran when the command went away as lost, and returns those rows."""
        lost = [
            msgspec.structs.replace(row, status="lost", status_reason="the process ended")
            for row in self.rows.values()
            if not row.ended
        ]
        self.rows.update((row.operation_id, row) for row in lost)
        return lost
