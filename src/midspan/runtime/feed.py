"""What `midspan run` reads: one JSON line a changed operation, over a pipe that the process inherited.

A thread of its own writes, so that a slow reader slows nothing but the lines, which then skip what lies between.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import MutableMapping

from midspan.core import failures, wire
from midspan.core.registry import Registry

VARIABLE = "MIDSPAN_FEED_FD"


def inherited_pipe(environ: MutableMapping[str, str]) -> int | None:
    """The pipe's descriptor, taken out of the environment: a child of the app would find another file there."""
    value = environ.pop(VARIABLE, None)
    if value is None or not value.isdigit():
        return None
    descriptor = int(value)
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return None
    if is_pipe:
        os.set_inheritable(descriptor, False)
    return descriptor if is_pipe else None


class Feed:
    """Writes every operation's newest state to a pipe until it is closed, or nobody reads any more."""

    def __init__(self, registry: Registry, descriptor: int) -> None:
        self._descriptor = descriptor
        self._subscription = registry.subscribe()
        self._thread = threading.Thread(target=self._run, name="midspan-feed", daemon=True)

    def start(self, server_url: str | None = None) -> None:
        """Begin, with a line that tells where the API listens."""
        if server_url is not None:
            self._write(wire.encode({"server": server_url}) + b"\n")
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is pending, and close the pipe."""
        self._subscription.close()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        try:
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
            view = view[os.write(self._descriptor, view) :]
