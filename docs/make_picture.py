"""Draws docs/img/live-view.svg: the live view in the middle of a real run of examples/many_calls.py.

    make picture

Nothing is invented: the program runs against the real model, and the picture is what the live view shows when two
answers stream, one call waits for its answer, one has failed and one was cancelled.
"""

import os
import re
import sys
import tempfile
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from midspan.cli.board import Board
from midspan.cli.child import environment
from midspan.cli.live import view
from midspan.cli.model import examples, running_model
from midspan.cli.row import Row
from midspan.cli.run import Watch
from midspan.cli.screens import Quiet, tail

PICTURE = Path(__file__).parent / "img" / "live-view.svg"
COMMAND = "midspan run --view -- python examples/many_calls.py"
COLUMNS, LINES = 104, 18
# The picture must not fetch a font from anywhere: without these the reader's own monospaced one is used.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n?", "", CONSOLE_SVG_FORMAT, flags=re.S)


class Camera(Quiet):
    """Takes the picture at the first tick that is worth it, of the rows and the output as they are then."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._board = Board()
        self.picture: str | None = None

    def open(self, board: Board) -> None:
        """Remembers what to look at."""
        self._board = board

    def tick(self) -> None:
        """Takes the picture once."""
        rows = list(self._board.rows.values())
        if self.picture is None and worth_it(rows):
            console = Console(record=True, width=COLUMNS, height=LINES, file=StringIO(), force_terminal=True)
            where = "output of python examples/many_calls.py"
            console.print(view(rows, datetime.now(UTC), output=tail(self._output), where=where, console=console))
            self.picture = console.export_svg(title=COMMAND, code_format=FORMAT, unique_id="live-view")


def worth_it(rows: list[Row]) -> bool:
    """Both answers are well under way, and the other three calls are in three other states."""
    statuses = sorted(row.status for row in rows)
    streaming = [row for row in rows if row.stage == "streaming_response" and (row.progress or 0) > 0.2]
    return statuses == ["cancelled", "failed", "running", "running", "running"] and len(streaming) == 2


def main() -> int:
    """Runs the program and writes the picture; returns 1 when the moment did not come."""
    folder = examples()
    with running_model(folder / "model_server.py") as model, tempfile.TemporaryDirectory() as kept:
        output = Path(kept) / "output"
        camera = Camera(output)
        env = environment({**os.environ, **model.environment})
        Watch([sys.executable, str(folder / "many_calls.py")], env, camera, output).run()
    if camera.picture is None:
        print("the moment did not come: run it again", file=sys.stderr)
        return 1
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(camera.picture, encoding="utf-8")
    print(f"{PICTURE.name}: {len(camera.picture):,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
