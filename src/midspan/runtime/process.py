"""The process around midspan: who it is, what a fork leaves, and what its exit ends.

No signal is handled here, on purpose: docs/adr/0010.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from midspan.core import failures
from midspan.core.operation import Owner, Status
from midspan.core.registry import Registry
from midspan.core.state import State

SERVED_BY = "MIDSPAN_SERVED_BY"
_AFTER_OTHERS = -100

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
        os.register_at_fork(after_in_child=_forked)
        atexit.register(_exit)


def forget_process() -> None:
    """Nothing to call any more."""
    _after_fork.clear()
    _at_exit.clear()


def exit_first() -> None:
    """Be called at exit before everything registered so far, as the shutdown of the app's tracer provider."""
    atexit.unregister(_exit)
    atexit.register(_exit)


def _exit() -> None:
    _call(_at_exit)


def _forked() -> None:
    _call(_after_fork)
    # Where `multiprocessing` has forked, the child leaves by its finalizers and never reaches `atexit`.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and _at_exit:
        util.register_after_fork(_exit, lambda _: util.Finalize(None, _exit, exitpriority=_AFTER_OTHERS))


def _call(callbacks: list[Callable[[], object]]) -> None:
    for callback in list(callbacks):
        try:
            callback()
        except Exception:
            failures.report("process")


class FirstOperation:
    """A processor that calls `action` once, when the next operation starts. Many processes never have any."""

    def __init__(self, registry: Registry, action: Callable[[], object]) -> None:
        self._registry = registry
        self._actions = [action]
        registry.add_processor(self)

    def on_start(self, state: State) -> None:
        """Processor: the first operation."""
        if self._actions:
            self._registry.remove_processor(self)
            self._actions.pop()()

    def on_update(self, state: State) -> None:
        """Processor: nothing to do."""

    def on_end(self, state: State) -> None:
        """Processor: nothing to do."""


def end_running(registry: Registry) -> None:
    """The process ends: what was dropped has its own ending, what still runs is lost with it."""
    registry.reap()
    for state in registry.running():
        # A thread that goes on until the very end would be told that it is late.
        state.warned = True
        registry.end(state, Status.LOST, "process exit")


def serving_process() -> int | None:
    """The other living process that serves the API of this run, if there is one."""
    named = os.environ.get(SERVED_BY, "")
    pid = int(named) if named.isdecimal() else os.getpid()
    return None if pid == os.getpid() or not _is_alive(pid) else pid


def claim_serving(pid: int | None) -> None:
    """Let processes started from here know which one serves; None: none does any more."""
    if pid is None:
        os.environ.pop(SERVED_BY, None)
    else:
        os.environ[SERVED_BY] = str(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
