"""What `midspan run` reads: one JSON line a changed operation, over a pipe that the process inherited.

A thread of its own writes, so that a slow reader slows nothing but the lines, which then skip what lies between.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import threading
from collections.abc import MutableMapping
from typing import NamedTuple

from midspan.core import failures, wire
from midspan.core.registry import Registry

VARIABLE = "MIDSPAN_FEED_FD"


class Pipe(NamedTuple):
    """A pipe by its descriptor and its identity: the number alone may come to stand for another file."""

    descriptor: int
    device: int
    inode: int

    @classmethod
    def of(cls, descriptor: int) -> Pipe:
        """The pipe that is open under this number. Raises OSError when none is."""
        found = os.fstat(descriptor)
        if not stat.S_ISFIFO(found.st_mode):
            raise OSError(f"descriptor {descriptor} is not a pipe")
        return cls(descriptor, found.st_dev, found.st_ino)

    def __str__(self) -> str:
        return f"{self.descriptor}:{self.device}:{self.inode}"

    @property
    def is_open(self) -> bool:
        """True while the number stands for this very pipe."""
        try:
            return Pipe.of(self.descriptor) == self
        except OSError:
            return False

    def close(self) -> None:
        """Close it, and never another file."""
        if self.is_open:
            os.close(self.descriptor)


def inherited_pipe(environ: MutableMapping[str, str]) -> Pipe | None:
    """The pipe of `midspan run`, taken out of the environment; None unless it is open here under its number."""
    named = re.fullmatch(r"(\d{1,9}):(\d{1,20}):(\d{1,20})", environ.pop(VARIABLE, ""), re.ASCII)
    if named is None:
        return None
    pipe = Pipe(*map(int, named.groups()))
    if not pipe.is_open:
        return None
    os.set_inheritable(pipe.descriptor, False)
    return pipe


class Feed:
    """Writes every operation's newest state to a pipe until it is closed, or nobody reads any more."""

    def __init__(self, registry: Registry, pipe: Pipe) -> None:
        self._pipe = pipe
        self._announcement = b""
        self._subscription = registry.subscribe()
        self._thread = threading.Thread(target=self._run, name="midspan-feed", daemon=True)

    def start(self, server_url: str | None = None) -> None:
        """Begin, with a line that tells where the API listens."""
        if server_url is not None:
            self._announcement = wire.encode({"server": server_url}) + b"\n"
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is pending, and close the pipe; a reader that does not read is not waited for."""
        self._subscription.close()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._pipe.close()

    def abandon(self) -> None:
        """In a forked child: let go of the pipe; the thread is not there."""
        self._pipe.close()

    def _run(self) -> None:
        try:
            # Where the app has the default disposition, our write to a closed pipe would end it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
            self._write(self._announcement)
            while not self._subscription.closed:
                self._write_pending(0.5)
            self._write_pending(0.0)
        except BrokenPipeError:
            self._subscription.close()
        except Exception:
            failures.report("feed")

    def _write_pending(self, timeout: float) -> None:
        operations = self._subscription.wait(timeout)
        if operations:
            self._write(b"".join(wire.encode(operation) + b"\n" for operation in operations))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # A daemon closes every descriptor that it does not know, and opens its own files under the numbers.
            if not self._pipe.is_open:
                raise BrokenPipeError
            view = view[os.write(self._pipe.descriptor, view) :]
