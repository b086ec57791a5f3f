"""The live view: a table of operations that is drawn anew as they move, and the end of the program's output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from midspan.cli import figures
from midspan.cli.row import Row

STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "lost": "magenta"}
ROOMY_FROM_COLUMNS = 100


def table(rows: Iterable[Row], now: datetime, width: int, selected: str | None = None) -> Table:
    """One line per operation: name, stage, tokens, rate, elapsed, progress, remaining.

    `width` is the screen's, in columns: on a narrow one the rate is left out and the bar is short. The operation with
    the id `selected` stands out.
    """
    roomy = width >= ROOMY_FROM_COLUMNS
    bar_width = 12 if roomy else 6
    drawn = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, collapse_padding=True)
    drawn.add_column("operation", no_wrap=True, ratio=1)
    # Wide enough for the longest of the usual stages, so that the table does not jump.
    drawn.add_column("stage", no_wrap=True, min_width=len("waiting_first_chunk"))
    for title, least in (("tokens", 6), ("rate", 6), ("elapsed", 8)):
        if roomy or title != "rate":
            drawn.add_column(title, justify="right", no_wrap=True, min_width=least)
    drawn.add_column("progress", no_wrap=True, width=bar_width + 6)
    drawn.add_column("left", justify="right", no_wrap=True, min_width=6)
    for row in rows:
        style = "reverse" if row.operation_id == selected else None
        cells = (*_names(row), *_figures(row, now, roomy), _progress(row, bar_width), _remaining(row))
        drawn.add_row(*cells, style=style)
    return drawn


def _names(row: Row) -> tuple[Text, Text]:
    style = "yellow" if row.stalled else STYLES.get(row.status, "cyan")
    return Text(row.title), Text(row.what, style=style)


def _figures(row: Row, now: datetime, roomy: bool) -> Iterator[Text]:
    yield Text(figures.tokens(row).partition(" token")[0])
    if roomy:
        yield Text(figures.rate(row))
    yield Text(figures.duration(row.elapsed(now)))


def _remaining(row: Row) -> Text:
    return Text("" if row.ended else figures.duration(row.estimated_remaining_seconds))


def _progress(row: Row, width: int) -> RenderableType:
    if row.status == "failed":
        return Text(_failure(row), style="red", overflow="ellipsis")
    if row.ended:
        return Text(row.status_reason or "", style="dim", overflow="ellipsis")
    if row.progress is None:
        return ProgressBar(total=None, pulse=True, width=width)
    bar = Table.grid(padding=(0, 1))
    done = ProgressBar(total=1.0, completed=row.progress, width=width)
    bar.add_row(done, figures.percent(row.progress))
    return bar


def _failure(row: Row) -> str:
    """The short name of its error: there is no room for more here, and the summary has it all."""
    return row.error.type.rpartition(".")[2] if row.error else (row.status_reason or "")


def view(rows: Sequence[Row], now: datetime, *, output: Sequence[str], where: str, console: Console) -> Group:
    """The whole screen of `console`: the operations that fit, running ones first, and the end of `output`."""
    room = max(6, console.size.height - 4)
    fitting = _fitting(rows, room * 2 // 3)
    parts: list[RenderableType] = [table(fitting, now, console.size.width)]
    if len(fitting) < len(rows):
        parts.append(Text(f"and {len(rows) - len(fitting)} more that have ended or wait", style="dim"))
        room -= 1
    lines = room - len(fitting) - 2
    if lines > 0:
        end = _end(output, lines, console)
        parts.append(Panel(end, title=where, title_align="left", border_style="dim"))
    return Group(*parts)


def last_view(rows: Sequence[Row], now: datetime, console: Console) -> Group:
    """What stays on `console` when the live view has gone: the newest operations, as many as fit."""
    fitting = _fitting(rows, max(6, console.size.height - 5))
    drawn = table(fitting, now, console.size.width)
    more = len(rows) - len(fitting)
    return Group(drawn, Text(f"and {more} more", style="dim")) if more else Group(drawn)


def _end(output: Sequence[str], lines: int, console: Console) -> Text:
    """The last lines of `output`, as wide as the panel: a long line counts as what it takes."""
    text = Text("\n").join(Text.from_ansi(line) for line in output[-lines:])
    wrapped = text.wrap(console, max(10, console.size.width - 4))
    return Text("\n").join(wrapped[-lines:])


def _fitting(rows: Sequence[Row], room: int) -> list[Row]:
    """The running rows and the newest ended ones, at most `room`, in their own order."""
    newest_first = [*reversed(rows)]
    chosen = {row.operation_id for row in sorted(newest_first, key=lambda row: row.ended)[:room]}
    return [row for row in rows if row.operation_id in chosen]
