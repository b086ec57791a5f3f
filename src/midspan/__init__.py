"""midspan shows LLM operations while they are still running.

These are its public names. Each is imported when it is first used, so that `import midspan` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midspan.compat.agent import Agent
    from midspan.core.operation import Operation, OperationType, Stage, Status
    from midspan.runtime.watching import watch
    from midspan.runtime.wiring import asgi, instrument, register_prometheus, uninstrument
    from midspan.tracking.decorators import progress, track_llm_progress, track_progress
    from midspan.tracking.events import ProgressEvent
    from midspan.tracking.loop import track
    from midspan.tracking.stream import ProgressStream
    from midspan.tracking.switches import disable, disabled
    from midspan.tracking.tasks import task
    from midspan.tracking.tracker import (
        ProgressRegistry,
        ProgressTracker,
        get_progress_registry,
        get_progress_tracker,
    )
    from midspan.tracking.watching import on_progress

__all__ = [
    "Agent",
    "Operation",
    "OperationType",
    "ProgressEvent",
    "ProgressRegistry",
    "ProgressStream",
    "ProgressTracker",
    "Stage",
    "Status",
    "asgi",
    "disable",
    "disabled",
    "get_progress_registry",
    "get_progress_tracker",
    "instrument",
    "on_progress",
    "progress",
    "register_prometheus",
    "task",
    "track",
    "track_llm_progress",
    "track_progress",
    "uninstrument",
    "watch",
]

_HOMES = {
    "compat.agent": "Agent",
    "core.operation": "Operation OperationType Stage Status",
    "runtime.watching": "watch",
    "runtime.wiring": "asgi instrument register_prometheus uninstrument",
    "tracking.decorators": "progress track_llm_progress track_progress",
    "tracking.events": "ProgressEvent",
    "tracking.loop": "track",
    "tracking.stream": "ProgressStream",
    "tracking.switches": "disable disabled",
    "tracking.tasks": "task",
    "tracking.tracker": "ProgressRegistry ProgressTracker get_progress_registry get_progress_tracker",
    "tracking.watching": "on_progress",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("midspan")
    elif name in _HOME_OF:
        value = getattr(import_module(f"midspan.{_HOME_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'midspan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
