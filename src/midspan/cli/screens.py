"""The three ways to show a run: nothing, lines on stderr, the live view."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from midspan.cli.board import Announcement, Board
from midspan.cli.lines import LinePacer, line
from midspan.cli.row import Row

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

TAIL_BYTES = 8192


def tell(text: str, to: TextIO | None = None) -> None:
    """One line on stderr, as all that midspan says. Nobody may be reading it any more (`2>&1 | head`)."""
    stream = sys.stderr if to is None else to
    with suppress(OSError):
        # One write: the program writes to the same terminal.
        stream.write(f"midspan: {text}\n")
        stream.flush()


class Quiet:
    """Shows nothing."""

    def open(self, board: Board) -> None:
        """Nothing to prepare."""

    def announce(self, announcement: Announcement) -> None:
        """Not shown."""

    def show(self, row: Row) -> None:
        """Not shown."""

    def tick(self) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Nothing to leave."""


class Lines(Quiet):
    """One line a change, on stderr: the program's stdout stays its own."""

    def __init__(self, to: TextIO | None = None) -> None:
        self._to = to
        self._pacer = LinePacer()

    def announce(self, announcement: Announcement) -> None:
        """Tells where the operations can be read."""
        self._print(f"{announcement.server}/v1/operations")

    def show(self, row: Row) -> None:
        """Prints the operation if its stage or status is new, or a second has passed."""
        now = datetime.now(UTC)
        if self._pacer.wants(row, now):
            self._print(line(row, now))

    def _print(self, text: str) -> None:
        tell(text, self._to)


class LiveView(Quiet):
    """The full screen: a table of operations, and the end of the program's output, which goes to a file."""

    def __init__(self, output: Path, title: str, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._output = output
        self._title = title
        self._console = console or Console(stderr=True)
        self._live: Live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            # The program's output does not pass through this process, and ours must not be rewritten.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._board = Board()

    def open(self, board: Board) -> None:
        """Takes the screen over."""
        self._board = board
        self._live.start()

    def tick(self) -> None:
        """Draws everything anew: times move without reports."""
        self._live.update(self._drawn(), refresh=True)

    def close(self) -> None:
        """Gives the screen back, and leaves the last table on it."""
        from midspan.cli.live import last_view

        self._live.stop()
        self._console.print(last_view(list(self._board.rows.values()), datetime.now(UTC), self._console))

    def _drawn(self) -> Group:
        from midspan.cli.live import view

        return view(
            list(self._board.rows.values()),
            datetime.now(UTC),
            output=tail(self._output),
            where=self._title,
            console=self._console,
        )


def tail(path: Path) -> list[str]:
    """The last lines of a file that grows; none while it does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace").rstrip("\n").split("\n")
    except FileNotFoundError:
        return []
