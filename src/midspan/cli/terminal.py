"""The terminal of `midspan top`: keys one by one, signals told in order, and everything given back in the end."""

from __future__ import annotations

import os
import select
import signal
import socket
import termios
import tty
from contextlib import suppress
from types import FrameType
from typing import Self

from midspan.cli.keys import Keys

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """`with Terminal(0) as terminal`: the terminal of a descriptor, without echo and line editing.

    `ended` is the signal that wants us to leave, 0 while there is none; the end of the input counts as SIGHUP.
    """

    def __init__(self, descriptor: int) -> None:
        self.ended = 0
        self._descriptor = descriptor
        self._keys = Keys()
        self._waking, self._woken = socket.socketpair()
        for end in (self._waking, self._woken):
            end.setblocking(False)

    def __enter__(self) -> Self:
        self._modes = termios.tcgetattr(self._descriptor)
        self._before = {number: signal.signal(number, self._end) for number in _ENDS}
        # A handler, so that the arrival is written to the wake-up descriptor at all.
        self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, _noticed)
        self._wakeup = signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(termios.error):  # the terminal itself may have gone
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._waking.close()
        self._woken.close()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self.ended = self.ended or number

    def wake(self) -> None:
        """End a `wait`. From any thread."""
        with suppress(OSError):  # it is full: whoever waits will wake
            self._waking.send(b".")

    def wait(self, seconds: float) -> list[str]:
        """The keys that were pressed. Returns without any after `seconds`, a signal, or `wake`."""
        ready, _, _ = select.select([self._descriptor, self._woken], [], [], seconds)
        if self._woken in ready:
            with suppress(OSError):
                self._woken.recv(4096)
        return self._read() if self._descriptor in ready else []

    def _read(self) -> list[str]:
        try:
            data = os.read(self._descriptor, 1024)
        except OSError:
            data = b""
        self.ended = self.ended or (0 if data else signal.SIGHUP)
        return self._keys.read(data)


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """Nothing to do but to be woken."""
