"""`MIDSPAN_LOG=json`: one line of JSON an event, on the standard error of the process."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from midspan.core import names
from midspan.core.wire import encode, rfc3339
from midspan.telemetry.event_queue import OutgoingEvent

STANDARD_ERROR: Final = 2
WAITING: Final = 1_000
MAX_LINE: Final = 4096
"""Bytes: a pipe that is ready takes so many at once, without blocking and not mixed with others' lines."""


class LogLines:
    """Writes to a file descriptor that others use, too; waits for no reader, and survives its being closed.

    Of what a slow reader has not taken, the newest 1,000 lines are kept.
    """

    def __init__(self, descriptor: int = STANDARD_ERROR) -> None:
        self._descriptor = descriptor
        self._file = _identity(descriptor)
        self._waiting: deque[bytes] = deque(maxlen=WAITING)

    def wanted(self) -> bool:
        """True: somebody has asked for them."""
        return True

    def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Write what the reader has room for; the rest waits for the next beat."""
        self._waiting.extend(_line(event) for event in events)
        if not self._waiting:
            return
        if not self._is_ours():
            self._waiting.clear()
            return
        with _no_broken_pipe():
            self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting and _has_room(self._descriptor):
            try:
                os.write(self._descriptor, self._waiting[0])
            except BlockingIOError:
                return
            except OSError:  # nobody reads any more, or the disk is full
                self._waiting.clear()
                return
            self._waiting.popleft()

    def _is_ours(self) -> bool:
        """A daemon closes its standard error, and the number may come to stand for a database or a connection."""
        found = _identity(self._descriptor)
        if found is None:
            return False
        return found == self._file or fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _has_room(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poll.poll(0))


@contextmanager
def _no_broken_pipe() -> Generator[None]:
    """Where the application has the signal's default disposition, a write that nobody reads would end it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        yield
    finally:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _line(event: OutgoingEvent) -> bytes:
    row: dict[str, object] = {
        "timestamp": rfc3339(event.at),
        "severity": "WARN" if event.is_warning else "INFO",
        "event": event.name,
        "body": event.body,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        **event.attributes,
    }
    line = encode(row) + b"\n"
    if len(line) > MAX_LINE:
        row.pop(names.MESSAGE, None)
        line = encode(row) + b"\n"
    return line
