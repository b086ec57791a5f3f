"""The screen of `midspan top`: a line of counts, the table or one operation, and a line of keys or questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.text import Text

from midspan.cli.choosing import Choosing
from midspan.cli.detail import detail
from midspan.cli.live import table
from midspan.cli.row import Row

AROUND_THE_TABLE = 6
"""Lines that are no operation: ours above and below, and the table's own head and edges."""

HELP = """\
up, down, j, k      choose an operation (page up, page down, home, end as well)
enter               all about it
c                   ask it to stop
/                   show only what has this text in it
s                   show only one status: running, stalled, completed, failed, cancelled, lost
escape              back; in the list: show everything
q                   leave"""

KEYS = "enter detail  c cancel  / filter  s status  ? help  q quit"


@dataclass(frozen=True)
class Shown:
    """What one screen is drawn from. `forgotten` counts operations that are no longer kept."""

    where: str
    rows: Sequence[Row]
    choosing: Choosing
    whole: Mapping[str, Any] | None = None
    trouble: str | None = None
    forgotten: int = 0


def screen(shown: Shown, now: datetime, console: Console) -> Layout:
    """The whole screen of `console`."""
    drawn = Layout()
    drawn.split_column(
        Layout(_head(shown), size=1),
        Layout(_middle(shown, now, console, max(4, console.size.height))),
        Layout(_foot(shown), size=1),
    )
    return drawn


def _head(shown: Shown) -> Text:
    running = [row for row in shown.rows if not row.ended]
    stalled = sum(row.stalled for row in running)
    counts = [f"{len(running)} running", f"{stalled} stalled" if stalled else "", f"{_ended(shown)} ended"]
    chosen = [f"status: {shown.choosing.status}" if shown.choosing.status else ""]
    chosen.append(f"filter: {shown.choosing.text}" if shown.choosing.text else "")
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"midspan {shown.where}", style="bold")
    head.append(" · " + " · ".join(part for part in (*counts, *chosen) if part))
    return head


def _ended(shown: Shown) -> int:
    return sum(row.ended for row in shown.rows) + shown.forgotten


def _middle(shown: Shown, now: datetime, console: Console, height: int) -> RenderableType:
    choosing = shown.choosing
    if choosing.mode == "help":
        return Text(f"\n{HELP}", no_wrap=True, overflow="ellipsis")
    if choosing.is_inside and (row := _of(shown)) is not None:
        return detail(row, _whole(shown), now, height - 2)
    if not choosing.shown:
        return Text(f"\n{_nothing(shown)}\n", style="dim")
    fitting = _window(choosing.shown, choosing.selected, max(1, height - AROUND_THE_TABLE))
    return table(fitting, now, console.size.width, choosing.selected)


def _of(shown: Shown) -> Row | None:
    return next((row for row in shown.rows if row.operation_id == shown.choosing.selected), None)


def _whole(shown: Shown) -> Mapping[str, Any] | None:
    """None for what belongs to another operation, which was looked at before."""
    whole = shown.whole
    return whole if whole is not None and whole["operation_id"] == shown.choosing.selected else None


def _nothing(shown: Shown) -> str:
    if shown.rows:
        return "nothing is like that; escape shows everything, s the next status"
    return "no operations yet: they come here as soon as the application makes one"


def _window(rows: Sequence[Row], selected: str | None, room: int) -> Sequence[Row]:
    """As many rows as fit, with the selected one among them."""
    at = next((number for number, row in enumerate(rows) if row.operation_id == selected), 0)
    first = max(0, min(at - room // 2, len(rows) - room))
    return rows[first : first + room]


def _foot(shown: Shown) -> Text:
    choosing = shown.choosing
    if choosing.mode == "filter":
        return Text(f"/{choosing.text}_", style="bold")
    if choosing.mode == "confirm":
        row = _of(shown)
        return Text(f"ask {row.title if row else 'it'} to stop? y/n", style="bold yellow", no_wrap=True)
    if shown.trouble is not None:
        return Text(shown.trouble, style="bold red", no_wrap=True, overflow="ellipsis")
    keys = {"list": KEYS, "detail": "escape back  c cancel"}.get(choosing.mode, "escape back")
    return Text(choosing.note or keys, style="yellow" if choosing.note else "dim", no_wrap=True, overflow="ellipsis")
