"""The process around midspan: who it is, what a fork leaves, and what its exit ends."""

from __future__ import annotations

import atexit
import os
import socket
import sys
from collections.abc import Callable
from uuid import uuid4

from midspan.core.operation import Owner, Status
from midspan.core.registry import Registry

_after_fork: list[Callable[[], object]] = []
_at_exit: list[Callable[[], object]] = []
_registered = False


def owner() -> Owner:
    """This process, as every operation names its owner."""
    service = os.environ.get("OTEL_SERVICE_NAME") or os.path.basename(sys.argv[0] if sys.argv else "") or "python"
    return Owner(service=service, instance=uuid4().hex, host=socket.gethostname(), pid=os.getpid())


def watch_process(after_fork: Callable[[], object], at_exit: Callable[[], object]) -> None:
    """Call `after_fork` in a forked child, `at_exit` when the interpreter ends; only the newest pair counts."""
    global _registered
    _after_fork[:], _at_exit[:] = [after_fork], [at_exit]
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=lambda: _call(_after_fork))
        atexit.register(lambda: _call(_at_exit))


def forget_process() -> None:
    """Nothing to call any more."""
    _after_fork.clear()
    _at_exit.clear()


def _call(callbacks: list[Callable[[], object]]) -> None:
    for callback in list(callbacks):
        callback()


def end_running(registry: Registry) -> None:
    """The process ends: what was dropped has its own ending, what still runs is lost with it."""
    registry.reap()
    for state in registry.running():
        registry.end(state, Status.LOST, "process exit")
