"""A terminal that no screen belongs to."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
import threading

LEAVE_FULL_SCREEN = "\x1b[?1049l"
_HOME = "\x1b[H"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


class Terminal:
    """A pseudo-terminal of 100 columns and 24 lines, and what was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self.resize(24, 100)
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

    @property
    def screen(self) -> str:
        """What was drawn last, without colours."""
        return _CONTROL.sub("", self.seen.rpartition(_HOME)[2])

    @property
    def modes(self) -> list[object]:
        """How it treats what is typed."""
        return termios.tcgetattr(self.theirs)

    def resize(self, lines: int, columns: int) -> None:
        """Another size; who has the terminal is to be told by the caller."""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        """No more will be written, once the program has gone too."""
        os.close(self.theirs)
        self._thread.join(10)
        os.close(self._ours)
