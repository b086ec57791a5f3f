"""Functions that may be started by name: registered with `@task`, started with `Tasks.start`, each run an operation."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, overload
from weakref import WeakSet

from midspan.core.operation import OperationType
from midspan.tracking.arguments import new_id, text
from midspan.tracking.cancelling import CancelOutcome, request_cancel
from midspan.tracking.decorators import checked_options
from midspan.tracking.idempotency import Keys
from midspan.tracking.job import Job
from midspan.tracking.runner import MAX_QUEUED, MAX_RUNNING, Runner
from midspan.tracking.task import Task
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class UnknownTaskError(LookupError):
    """No task has this name; the message says which there are."""


class Tasks:
    """Tasks by name, and the runs of them; each run is an operation of `registry`."""

    def __init__(
        self, registry: ProgressRegistry, *, max_running: int = MAX_RUNNING, max_queued: int = MAX_QUEUED
    ) -> None:
        self.registry = registry
        self.runner = Runner(max_running, max_queued)
        self.keys = Keys()
        self._tasks: dict[str, Task] = {}
        _all.add(self)

    def forked(self) -> None:
        """In a forked child: what runs is the parent's."""
        self.keys.forked()
        self.runner.forked()

    def add(self, task: Task) -> None:
        """Register a task. Raises ValueError for a name that another function has."""
        known = self._tasks.get(task.name)
        if known is not None and _origin(known.function) != _origin(task.function):
            raise ValueError(f"there is a task {task.name!r} already: {_origin(known.function)}")
        self._tasks[task.name] = task

    def all(self) -> list[Task]:
        """The registered tasks, by name."""
        return [self._tasks[name] for name in sorted(self._tasks)]

    def get(self, name: str) -> Task:
        """The task of that name. Raises UnknownTaskError."""
        try:
            return self._tasks[name]
        except KeyError:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise UnknownTaskError(f"there is no task {name!r}; there are: {known}") from None

    def start(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        principal: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Start the task with `arguments` (JSON values by parameter name) and return the id of its operation.

        The operation, which has `metadata` from the beginning, is pending until it is the task's turn; the task's
        result is the operation's, up to 64 KiB. With an `idempotency_key` that this principal has used before for the
        same call, the operation is the one from then.
        Raises UnknownTaskError, ArgumentError (naming the parameter), TasksFullError, and IdempotencyError where the
        key was used for another call.
        """
        task = self.get(name)
        values = task.parameters.convert(arguments)
        operation_id = new_id()
        if idempotency_key is None:
            self.runner.reserve()
        else:
            key = principal, idempotency_key
            known = self.keys.claim(key, [name, arguments], operation_id, self.runner.reserve)
            if known != operation_id:
                return known
        try:
            tracker = self.registry.create_tracker(operation_id, name=name, metadata=metadata, **task.options)
        except BaseException:
            self.runner.release()
            raise
        tracker.state.principal = principal
        call = functools.partial(task.body, **values)
        self.runner.begin(Job(tracker, call, task.is_async, self.runner))
        return tracker.operation_id

    def cancel(self, operation_id: str, reason: str | None = None) -> CancelOutcome:
        """Ask a run to stop: a waiting one never begins, a coroutine is cancelled, a generator is closed at its next

        yield, and a function finds `get_progress_tracker().cancel_requested` set. One that finishes anyway completes.
        """
        return request_cancel(self.registry, operation_id, reason)

    def stop(self, reason: str = "stopped", within: float = 1.0) -> None:
        """Ask every run to stop, and wait at most `within` seconds for that."""
        self.runner.stop(reason, within)


_all: WeakSet[Tasks] = WeakSet()
_default_tasks = Tasks(get_progress_registry())


def _forked() -> None:
    for tasks in list(_all):
        tasks.forked()


os.register_at_fork(after_in_child=_forked)


def get_tasks() -> Tasks:
    """The process-wide tasks, where `@task` registers."""
    return _default_tasks


@overload
def task(name: F, /) -> F: ...
@overload
def task(
    name: str | None = None,
    /,
    *,
    operation_type: str = ...,
    total_steps: int | None = ...,
    deadline: float | datetime | None = ...,
    stall_after: float | None = ...,
) -> Callable[[F], F]: ...
def task(
    name: Callable[..., Any] | str | None = None,
    /,
    *,
    operation_type: str = OperationType.GENERAL,
    total_steps: int | None = None,
    deadline: float | datetime | None = None,
    stall_after: float | None = None,
) -> Any:
    """Register a function that the API may start: `POST /v1/tasks/{name}`, MCP `start_long_task`, `Tasks.start`.

    Works for functions, coroutine functions, and generators of both kinds that yield `{"progress": 0.5, "status": "…"}`
    as with `@progress`; the function itself stays as it is. Inside, `get_progress_tracker()` is the run's tracker. The
    annotations of its parameters say which JSON it takes. The name (letters, digits, `.`, `_`, `-`) is the function's
    own by default; the other options are those of `track_progress`. Raises TypeError or ValueError, when decorating,
    for what cannot be registered.
    """
    options = checked_options(total_steps, None, deadline, stall_after, None)
    del options["metadata"]  # that is each run's own
    options |= {"operation_type": text("operation_type", operation_type), "total_steps": total_steps}

    def register(function: F) -> F:
        if not callable(function):
            raise TypeError(f"@task is for functions, not {type(function).__name__}")
        own = name if isinstance(name, str) else function.__name__
        get_tasks().add(Task.of(_checked(own), function, options))
        return function

    return register(name) if callable(name) else register


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"task name {name!r} is not valid: 1 to 128 letters, digits, '.', '_' or '-'")
    return name


def _origin(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"
