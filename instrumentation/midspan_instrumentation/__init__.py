"""Instrumentation of LLM SDKs: calls become operations, without a change in the application."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import threading
from collections.abc import Collection, Iterator

from midspan_instrumentation._call import wrap_call, wrap_stream
from midspan_instrumentation._examining import Examined, examine
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Patch
from midspan_instrumentation._retry import retry_delay
from midspan_instrumentation._transport import patches as transport_patches
from midspan_instrumentation.provider import Provider

__all__ = ["PROVIDERS", "Examined", "apply", "examine_providers", "provider_names", "undo"]

PROVIDERS: dict[str, str] = {
    "openai": "midspan_instrumentation.providers.openai",
}
"""Name → module that holds the table, as `PROVIDER`."""

ENTRY_POINTS = "midspan_provider"
"""Third parties name a `Provider` object under this entry point group."""

_TRANSPORT = "transport"
_patches: dict[str, tuple[Patch, ...]] = {}
_lock = threading.Lock()


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


def provider_names() -> tuple[str, ...]:
    """The names that `apply` accepts: our own providers, and those of installed packages."""
    return (*PROVIDERS, *(name for name in _third_parties() if name not in PROVIDERS))


def apply(names: Collection[str] | None = None, excluded: Collection[str] = ()) -> None:
    """See the calls of these providers (None: of all that are known) but the excluded ones.

    Nothing is imported but the tables: an SDK is wrapped when the application imports it, or now
    if it has. Doing it twice changes nothing. Raises ValueError for a name that is not known.
    """
    known = provider_names()
    wanted = known if names is None else names
    unknown = sorted({*wanted, *excluded} - {*known})
    if unknown:
        raise ValueError(f"unknown provider {', '.join(unknown)}; accepted: {', '.join(known)}")
    with _lock:
        chosen = [name for name in wanted if name not in excluded]
        if chosen:
            _install(_TRANSPORT)
        for name in chosen:
            _install(name)


def undo() -> None:
    """See no calls any more: what was there is restored, other tools' wrappers stay."""
    with _lock:
        for patches in _patches.values():
            for patch in patches:
                patch.remove()


def examine_providers() -> list[Examined]:
    """Every known provider, and whether its SDK is installed and fits. Imports the SDKs, and leaves nothing patched."""
    apply()
    try:
        return [examine(name, _load(name).targets, _patches.get(name, ())) for name in provider_names()]
    finally:
        undo()


@guarded("provider")
def _install(name: str) -> None:
    patches = _patches.get(name)
    if patches is None:
        made = transport_patches() if name == _TRANSPORT else tuple(_provider_patches(name))
        patches = _patches[name] = made
    for patch in patches:
        patch.install()


def _provider_patches(name: str) -> Iterator[Patch]:
    provider = _load(name)
    for target in provider.targets:
        wrapper = wrap_call(provider, target)
        yield Patch(target.module, target.qualname, wrapper, target.older_modules, target.optional)
    for kind in provider.streams:
        yield Patch(kind.module, f"{kind.qualname}.__init__", wrap_stream(kind))
    for delay in provider.retry_delays:
        yield Patch(delay.module, delay.qualname, retry_delay, optional=True)


def _load(name: str) -> Provider:
    module = PROVIDERS.get(name)
    if module is not None:
        return importlib.import_module(module).PROVIDER
    provider: object = _third_parties()[name].load()
    if not isinstance(provider, Provider):
        raise TypeError(f"entry point {name} of {ENTRY_POINTS} is not a Provider: {provider!r}")
    return provider


@functools.cache  # looks through every installed distribution: some 6 ms
def _third_parties() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}
