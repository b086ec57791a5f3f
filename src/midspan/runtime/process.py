"""The process around midspan: who it is, what a fork leaves, and what its exit ends.

No signal is handled here, on purpose: docs/adr/0010.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any
from uuid import uuid4

from midspan.core import failures
from midspan.core.operation import Owner, Status
from midspan.core.registry import Registry
from midspan.core.state import State

SERVED_BY = "MIDSPAN_SERVED_BY"
_AFTER_OTHERS = -100

_before_fork: list[Callable[[], object]] = []
_after_fork: list[Callable[[], object]] = []
_at_exit: list[Callable[[], object]] = []
_sees_forks = False
_sees_exit = False


def owner() -> Owner:
    """This process, as every operation names its owner."""
    service = os.environ.get("OTEL_SERVICE_NAME") or os.path.basename(sys.argv[0] if sys.argv else "") or "python"
    return Owner(service=service, instance=uuid4().hex, host=socket.gethostname(), pid=os.getpid())


def watch_process(
    before_fork: Callable[[], object], after_fork: Callable[[], object], at_exit: Callable[[], object]
) -> None:
    """Call `before_fork`, `after_fork` in the child, and `at_exit` at the interpreter's end; only the newest count."""
    global _sees_exit
    _before_fork[:], _after_fork[:], _at_exit[:] = [before_fork], [after_fork], [at_exit]
    see_forks()
    if not _sees_exit:
        _sees_exit = True
        atexit.register(_exit)
        _see_multiprocessing()


def see_forks() -> None:
    """Be called at forks before everything that registers later, whether or not there is something to call yet."""
    global _sees_forks
    if not _sees_forks:
        _sees_forks = True
        os.register_at_fork(before=lambda: _call(_before_fork), after_in_child=_forked)


def forget_process() -> None:
    """Nothing to call any more."""
    for callbacks in (_before_fork, _after_fork, _at_exit):
        callbacks.clear()


def exit_first() -> None:
    """Be called at exit before everything registered so far, as the shutdown of the app's tracer provider."""
    atexit.unregister(_exit)
    atexit.register(_exit)


def when_main_ends(action: Callable[[], object]) -> None:
    """Call `action` when the main thread has ended and others go on: nobody can begin a pool of threads after that."""
    # It ends all pools in the same way, and the last one to register is the first to be called.
    import_module("concurrent.futures.thread")

    register: Callable[..., object] | None = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_if_others_go_on, action)


def _if_others_go_on(action: Callable[[], object]) -> None:
    others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if others:
        _call([action])


def stay_interrupted() -> None:
    """Let a program that an interrupt has ended die of the signal still.

    Python remembers until the end that it has to, and forgets it when any thread executes source, as dataclasses do
    that are imported. It remembers again when source is executed that an interrupt leaves.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")


def _exit() -> None:
    _call(_at_exit)


def _forked() -> None:
    _call(_after_fork)
    _call([_see_multiprocessing])


def _see_multiprocessing() -> None:
    """A process that `multiprocessing` has forked leaves by its finalizers, and never reaches `atexit`."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is None or not _at_exit:
        return
    # In the fork itself: what is registered now is called by the child once it has forgotten its parent's finalizers.
    util.register_after_fork(_exit, _finalize)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        _finalize(None)


def _finalize(_: object) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _exit, exitpriority=_AFTER_OTHERS)


def _call(callbacks: list[Callable[[], object]]) -> None:
    for callback in list(callbacks):
        try:
            callback()
        except Exception:
            failures.report("process")


class FirstOperation:
    """A processor that does something once, when the next operation starts. Many processes never have any.

    Operations that start meanwhile in other threads wait until it is done.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._actions: list[Callable[[], object]] = []
        self._lock = threading.RLock()

    def then(self, action: Callable[[], object]) -> None:
        """Call `action` as well; twice is once. Within an action: right after it."""
        if action not in self._actions:
            self._actions.append(action)
        self._registry.remove_processor(self)
        self._registry.add_processor(self)

    def act(self) -> None:
        """Do it now, unless it was done."""
        with self._lock:
            while self._actions:
                self._actions.pop(0)()
        self._registry.remove_processor(self)

    def forked(self) -> None:
        """In a forked child, where another thread may have held the lock; what is still to be done is done there."""
        self._lock = threading.RLock()

    def forget(self) -> None:
        """Call nothing."""
        self._registry.remove_processor(self)
        self._actions = []

    def on_start(self, state: State) -> None:
        """Processor: the first operation."""
        self.act()

    def on_update(self, state: State) -> None:
        """Processor: nothing to do."""

    def on_end(self, state: State) -> None:
        """Processor: nothing to do."""


def end_running(registry: Registry) -> None:
    """The process ends: what was dropped has its own ending, what still runs is lost with it.

    What runs elsewhere is not: there it goes on, and only nobody here follows it any more.
    """
    registry.reap()
    for state in registry.running():
        # A thread that goes on until the very end would be told that it is late.
        state.warned = True
        if state.at_exit is None:
            registry.end(state, Status.LOST, "process exit")
        else:
            registry.end(state, Status.CANCELLED, state.at_exit)


def serving_process() -> int | None:
    """The other living process that serves the API of this run, if there is one."""
    named = os.environ.get(SERVED_BY, "")
    pid = int(named) if named.isdecimal() else os.getpid()
    return None if pid == os.getpid() or not is_alive(pid) else pid


def claim_serving(pid: int | None) -> None:
    """Let processes started from here know which one serves; None: none does any more."""
    if pid is None:
        os.environ.pop(SERVED_BY, None)
    else:
        os.environ[SERVED_BY] = str(pid)


def is_alive(pid: int) -> bool:
    """True while a process of this number exists, one that nobody has waited for yet too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
