"""Settings → what is alive: the names by which everybody else switches midspan on and off.

`instrument()` and `uninstrument()` are the public ones; `boot()` and `pre_instrument()` are for `midspan run` and
`opentelemetry-instrument`, and never raise.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from midspan import settings as settings_module
from midspan.core import failures
from midspan.runtime.attaching import examine_providers, watch_job, watch_job_by_name
from midspan.runtime.checking import check
from midspan.runtime.parts import Runtime
from midspan.settings import Settings, SettingsError
from midspan.tracking.tracker import get_progress_registry

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

__all__ = [
    "asgi",
    "boot",
    "check",
    "examine_providers",
    "instrument",
    "pre_instrument",
    "register_prometheus",
    "runtime",
    "switch_on",
    "uninstrument",
    "watch_job",
    "watch_job_by_name",
]

_lock = threading.RLock()
_runtime: Runtime | None = None


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)


def runtime() -> Runtime:
    """The process's runtime, made when it is first asked for."""
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = Runtime(get_progress_registry())
        return _runtime


def instrument(
    *,
    providers: Iterable[str] | None = None,
    events: str | None = None,
    server: str | None = None,
    stall_after: str | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """See the LLM calls of this process from now on; a second call only changes the settings it names.

    `providers`: names, or `-name` to leave one out; `events`, `server` (host:port or off) and `stall_after` are written
    as in their variables, and win over them. Raises ValueError for a value that cannot be used.
    """
    given = {"events": events, "server": server, "stall_after": stall_after}
    parsed = {name: settings_module.parse(name, text) for name, text in given.items() if text is not None}
    if providers is not None:
        parsed["providers"] = tuple(providers)
    settings = settings_module.load()
    switch_on(msgspec.structs.replace(settings, **parsed), tracer_provider, meter_provider)  # pyright: ignore[reportArgumentType]


def switch_on(
    settings: Settings,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Start what the settings ask for; nothing when they are disabled. Raises SettingsError for a wrong one."""
    if not settings.enabled:
        return
    check(settings)
    with _lock:
        runtime().switch_on(settings, tracer_provider, meter_provider)


def uninstrument() -> None:
    """Take everything away that `instrument()` brought: patches, spans, threads, server."""
    with _lock:
        runtime().switch_off()


def asgi() -> Starlette:
    """The API as an ASGI app, to mount into one of yours. It has no lifespan of its own to run."""
    alive = runtime()
    with _lock:
        if not alive.patched:
            alive.configure(settings_module.load())
        alive.live()
    return alive.serving.app()


def register_prometheus(registry: CollectorRegistry | None = None) -> None:
    """Show midspan's metrics in the `/metrics` that the app already has (prometheus-client's REGISTRY by default).

    Raises SettingsError for a setting that cannot be used.
    """
    from prometheus_client import REGISTRY

    from midspan.telemetry.prometheus import register

    alive = runtime()
    settings = alive.settings if alive.patched else settings_module.load()
    register(alive.registry, REGISTRY if registry is None else registry, settings.live_series)


def boot() -> None:
    """Under `midspan run`: switch on before the app's first line. Never raises."""
    try:
        settings = settings_module.load()
        if settings.enabled:
            runtime().exporting.begin()
            switch_on(settings)
            runtime().send_feed()
    except Exception as error:
        _give_up(error)


def pre_instrument() -> None:
    """Entry point `opentelemetry_pre_instrument`: our hooks stand before anybody else wraps. Never raises."""
    try:
        settings = settings_module.load()
        if not _disabled_by_opentelemetry() and runtime().patched is False:
            switch_on(settings)
    except Exception as error:
        _give_up(error)


def _disabled_by_opentelemetry() -> bool:
    listed = os.environ.get(settings_module.DISABLED_INSTRUMENTATIONS, "").replace(" ", "").split(",")
    return bool({"*", "midspan"} & set(listed))


def _give_up(error: Exception) -> None:
    if isinstance(error, SettingsError):
        failures.logger.error("midspan is off: %s", error)
        return
    failures.report("start")
