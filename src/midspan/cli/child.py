"""The watched program as a process: its environment, the signals it gets, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from midspan.cli.wrong_use import WrongUseError
from midspan.runtime.feed import VARIABLE, Pipe

BOOT = Path(__file__).with_name("boot")
DEFAULT_SERVER = "127.0.0.1:9465"
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (*_FROM_THE_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def environment(
    inherited: Mapping[str, str], *, server: str | None = None, events: str | None = None
) -> dict[str, str]:
    """What the program's environment is: the inherited one, midspan's boot folder, and the given settings."""
    path = inherited.get("PYTHONPATH")
    made = dict(inherited)
    made["PYTHONPATH"] = os.pathsep.join((str(BOOT), path)) if path else str(BOOT)
    made["MIDSPAN_SERVER"] = server or inherited.get("MIDSPAN_SERVER") or DEFAULT_SERVER
    if events is not None:
        made["MIDSPAN_EVENTS"] = events
    return made


class Child:
    """A started program. Signals that this process gets while it waits go to the program."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        feed: int,
        output: IO[bytes] | None = None,
    ) -> None:
        """Starts it with `feed` as an inherited descriptor. Raises WrongUseError if it cannot be started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before = {number: signal.getsignal(number) for number in _PASSED_ON}
        self._catch()
        try:
            self._process = subprocess.Popen(
                command,
                env={**env, VARIABLE: str(Pipe.of(feed))},
                pass_fds=(feed,),
                stdout=output,
                stderr=output,
            )
        except OSError as error:
            self.restore()
            raise WrongUseError(f"run: {command[0]} cannot be started: {error.strerror}") from None
        for number in self._early:
            self._process.send_signal(number)

    def _catch(self) -> None:
        for number, handler in self._before.items():
            # What is ignored here (nohup) stays ignored, for the program too.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number in _FROM_THE_TERMINAL and _in_the_foreground():
            # The terminal has sent it to the program as well: twice would look like an impatient user.
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Waits for the end; returns the program's exit status, 128 + n when signal n ended it."""
        assert self._process is not None
        status = self._process.wait()
        return status if status >= 0 else 128 - status

    def restore(self) -> None:
        """Gives the signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _in_the_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.__stderr__.fileno() if sys.__stderr__ else 2) == os.getpgrp()
    except (OSError, ValueError):
        return False
