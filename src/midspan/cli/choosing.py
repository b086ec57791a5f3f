"""What the person at `midspan top` has chosen: filters, the selected operation, and what each key does to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from midspan.cli.row import ENDED, Row

Mode = Literal["list", "filter", "detail", "confirm", "help"]

STATUSES = (None, "running", "stalled", *ENDED)
PAGE = 10
_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -PAGE, "page down": PAGE, "home": -(10**9), "end": 10**9}


@dataclass(frozen=True)
class Ask:
    """What the server is to be asked: to `cancel` this operation, or to `show` all of it."""

    what: Literal["cancel", "show"]
    operation_id: str


@dataclass
class Choosing:
    """Give it every key, and the rows before it draws."""

    mode: Mode = "list"
    text: str = ""
    status: str | None = None
    selected: str | None = None
    note: str = ""
    leaving: bool = False
    shown: list[Row] = field(default_factory=list[Row])
    _came_from: Mode = "list"

    # --- what is shown ------------------------------------------------------------------------

    def show(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that the filters leave: running ones first, in each part the newest first."""
        newest_first = sorted(rows, key=lambda row: row.created_at, reverse=True)
        self.shown = sorted(filter(self._wants, newest_first), key=lambda row: row.ended)
        if not self.is_inside and self.row is None:
            self.selected = self.shown[0].operation_id if self.shown else None
        return self.shown

    @property
    def is_inside(self) -> bool:
        """Whether one operation has the screen."""
        return "detail" in (self.mode, self._came_from if self.mode == "confirm" else "")

    def _wants(self, row: Row) -> bool:
        if self.status == "stalled":
            return row.stalled and not row.ended and self._matches(row)
        return self.status in (None, row.status) and self._matches(row)

    def _matches(self, row: Row) -> bool:
        said = (
            f"{row.title} {row.what} {row.status} {row.operation_type} {row.operation_id} {row.message or ''}".lower()
        )
        return self.text.strip().lower() in said

    @property
    def row(self) -> Row | None:
        """The selected operation, where it is among those shown."""
        return next((row for row in self.shown if row.operation_id == self.selected), None)

    # --- keys ---------------------------------------------------------------------------------

    def press(self, key: str) -> Ask | None:
        """What one key does; what is to be asked of the server, if anything."""
        self.note = ""
        if self.mode == "filter":
            self._type(key)
            return None
        if self.mode == "confirm":
            return self._confirm(key)
        if key in ("q", "escape", "?", "/", "s"):
            self._go(key)
            return None
        if key in _STEPS and self.mode == "list":
            self._step(_STEPS[key])
        return self._act(key)

    def _go(self, key: str) -> None:
        inside = self.mode != "list"
        if key == "q" and not inside:
            self.leaving = True
        elif inside or key == "escape":
            self.mode, self.text = "list", self.text if inside else ""
        elif key == "s":
            self.status = STATUSES[(STATUSES.index(self.status) + 1) % len(STATUSES)]
        else:
            self.mode = "help" if key == "?" else "filter"

    def _act(self, key: str) -> Ask | None:
        if self.selected is None or self.mode == "help":
            return None
        if key == "enter" and self.mode == "list":
            self.mode = "detail"
            return Ask("show", self.selected)
        if key == "c":
            self._ask_to_cancel()
        return None

    def _ask_to_cancel(self) -> None:
        row = self.row
        if row is None or row.ended:
            self.note = "it has ended already"
        elif row.cancel.mode == "none":
            self.note = "this operation cannot be cancelled from outside"
        else:
            self._came_from, self.mode = self.mode, "confirm"

    def _confirm(self, key: str) -> Ask | None:
        self.mode = self._came_from
        if key in ("y", "Y") and self.selected is not None:
            return Ask("cancel", self.selected)
        self.note = "not cancelled"
        return None

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self.mode = "list"
            self.text = self.text if key == "enter" else ""
        elif key in ("backspace", "clear"):
            self.text = self.text[:-1] if key == "backspace" else ""
        elif len(key) == 1:
            self.text = (self.text + key)[:80]

    def _step(self, by: int) -> None:
        ids = [row.operation_id for row in self.shown]
        if ids:
            at = ids.index(self.selected) if self.selected in ids else 0
            self.selected = ids[max(0, min(len(ids) - 1, at + by))]
