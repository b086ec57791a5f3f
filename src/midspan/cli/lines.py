"""One line a change: how operations are shown where there is no screen to draw on."""

from __future__ import annotations

from datetime import datetime

from midspan.cli import figures
from midspan.cli.row import Row

PROGRESS_EVERY_SECONDS = 1.0


def line(row: Row, now: datetime) -> str:
    """The state of one operation on one line, without a line end."""
    parts = [row.what, figures.tokens(row), figures.rate(row), figures.duration(row.elapsed(now))]
    if not row.ended:
        parts += [figures.percent(row.progress), _left(row)]
    elif row.status == "failed" and row.error is not None:
        parts.append(error_text(row))
    elif row.status in ("cancelled", "lost"):
        parts.append(row.status_reason or "")
    return f"{row.title} [{row.operation_id[-6:]}] " + " · ".join(part for part in parts if part)


def error_text(row: Row) -> str:
    """The type of its error and the first line of its message."""
    if row.error is None:
        return row.status_reason or "no error was told"
    said = (row.error.message or "").strip().partition("\n")[0]
    return f"{row.error.type}: {said}" if said else row.error.type


def _left(row: Row) -> str:
    # Below a twentieth of a second there is nothing left to tell.
    remaining = row.estimated_remaining_seconds or 0.0
    return f"{figures.duration(remaining)} left" if remaining >= 0.05 else ""


class LinePacer:
    """Chooses which changes are worth a line: a new stage or status always, figures once a second."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, datetime]] = {}

    def wants(self, row: Row, now: datetime) -> bool:
        """True when `row` should be shown now; remembers that it was."""
        what, at = self._shown.get(row.operation_id, (None, None))
        recent = at is not None and (now - at).total_seconds() < PROGRESS_EVERY_SECONDS
        if what == row.what and recent:
            return False
        self._shown[row.operation_id] = (row.what, now)
        if row.ended:
            # Nothing comes after it.
            del self._shown[row.operation_id]
        return True
