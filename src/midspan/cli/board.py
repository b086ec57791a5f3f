"""What a watched command has reported so far: the newest state of each operation."""

from __future__ import annotations

import msgspec

from midspan.cli.row import Row


class Announcement(msgspec.Struct, frozen=True):
    """Where the command's own server listens."""

    server: str


_rows = msgspec.json.Decoder(Row)
_announcements = msgspec.json.Decoder(Announcement)


class Board:
    """The newest state per operation, in the order in which they first appeared."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
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
        return row

    def close(self) -> list[Row]:
        """Marks what still ran when the command went away as lost, and returns those rows."""
        lost = [
            msgspec.structs.replace(row, status="lost", status_reason="the process ended")
            for row in self.rows.values()
            if not row.ended
        ]
        self.rows.update((row.operation_id, row) for row in lost)
        return lost
