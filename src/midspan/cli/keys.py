"""What a terminal sends for the keys that are pressed, as names: `up`, `enter`, `escape`, or the character itself."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

_SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1bOH": "home",
    "\x1bOF": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
}
_SINGLE = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x15": "clear", "\x1b": "escape"}
_FINAL = range(0x40, 0x7F)


class Keys:
    """Bytes in, key names out. What is cut off in the middle waits for its rest; unknown sequences are left out."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting = ""

    def read(self, data: bytes) -> list[str]:
        """The keys that `data` completes. A lone escape at its end is the key: terminals send a sequence at once."""
        self._waiting += self._decode(data)
        found = list(self._names())
        if self._waiting == "\x1b":
            self._waiting = ""
            found.append("escape")
        return found

    def _names(self) -> Iterator[str]:
        while self._waiting:
            length = _length(self._waiting)
            if length is None:
                return
            piece, self._waiting = self._waiting[:length], self._waiting[length:]
            name = _SEQUENCES.get(piece) or _SINGLE.get(piece) or (piece if piece.isprintable() else None)
            if name is not None:
                yield name


def _length(text: str) -> int | None:
    """How long the first key of the text is; None while its rest is missing."""
    if text[0] != "\x1b":
        return 1
    if len(text) == 1:
        return None
    if text[1] == "O":
        return 3 if len(text) > 2 else None
    if text[1] != "[":
        return 1
    end = next((at for at in range(2, len(text)) if ord(text[at]) in _FINAL), None)
    return None if end is None else end + 1
