"""`midspan run --view` on a terminal of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.cli.conftest import row
from tests.cli.terminals import LEAVE_FULL_SCREEN, Terminal

APP = """
import os, pathlib, sys, time
feed, rows, go = int(os.environ["MIDSPAN_FEED_FD"].split(":")[0]), pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
print("an answer", flush=True)
running, completed = rows.read_bytes().splitlines(keepends=True)
os.write(feed, running)
while not go.exists():
    time.sleep(0.01)
os.write(feed, completed)
sys.exit(3)
"""


def test_the_view_draws_the_operations_and_keeps_the_output_in_a_file(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    app, rows, go, output = (tmp_path / name for name in ("app.py", "rows", "go", "output.log"))
    app.write_text(APP)
    rows.write_bytes(b"".join(msgspec.json.encode(row(status=status)) + b"\n" for status in ("running", "completed")))
    terminal = Terminal()
    env = {"MIDSPAN_ENABLED": "false", "TERM": "xterm-256color"}
    with start("run", "--view", "--output", output, app, rows, go, stderr=terminal.theirs, env=env) as process:
        eventually(lambda: "streaming_response" in terminal.seen and "an answer" in terminal.seen)
        go.touch()
        out, _ = process.communicate(timeout=30)
    terminal.close()
    left = terminal.seen.rpartition(LEAVE_FULL_SCREEN)[2]
    assert (process.returncode, out) == (3, "")
    assert "completed" in left and f"the output is in {output}" in left
    assert output.read_text() == "an answer\n"
