"""`midspan run --view` on a terminal of its own."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.cli.conftest import row

LEAVE_FULL_SCREEN = "\x1b[?1049l"


class Terminal:
    """A pseudo-terminal of 100 columns and 24 lines, and what was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.seen = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")().decode
        try:
            while data := os.read(self._ours, 65536):
                self.seen += decode(data)
        except OSError:
            # Linux tells the other side's end this way.
            return

    def close(self) -> None:
        """No more will be written, once the program has gone too."""
        os.close(self.theirs)
        self._thread.join(10)
        os.close(self._ours)


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
