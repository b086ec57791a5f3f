"""Instrumentation of LLM SDKs: calls become operations, without a change in the application."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from midspan_instrumentation._guard import guarded
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._tables import PROVIDERS, load, on_import, provider_names
from midspan_instrumentation._transports import transports

if TYPE_CHECKING:
    from midspan_instrumentation._examining import Examined

__all__ = ["PROVIDERS", "apply", "examine_providers", "provider_names", "undo"]

_installed: dict[str, OnImport] = {}
_transports: tuple[OnImport, ...] = ()
_lock = threading.Lock()


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


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
            _install_transports()
        for name in chosen:
            _install(name)


def undo() -> None:
    """See no calls any more: what was there is restored, other tools' wrappers stay."""
    with _lock:
        for each in (*_installed.values(), *_transports):
            each.remove()


def examine_providers() -> list[Examined]:
    """Every known provider, and whether its SDK is installed and fits. Imports the SDKs, and leaves nothing patched."""
    from midspan_instrumentation import jobs
    from midspan_instrumentation._examining import examine

    apply()
    try:
        return [
            examine(name, load(name).callables, jobs.callables(name), _installed[name]) for name in provider_names()
        ]
    finally:
        undo()


@guarded("transport")
def _install_transports() -> None:
    global _transports
    _transports = _transports or transports()
    for each in _transports:
        each.install()


@guarded("provider")
def _install(name: str) -> None:
    if name not in _installed:
        _installed[name] = on_import(name)
    _installed[name].install()
