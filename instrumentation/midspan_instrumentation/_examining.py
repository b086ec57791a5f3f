"""Whether the tables fit the SDKs that are installed: which of the named callables are there, and are wrapped."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from midspan_instrumentation._importing import OnImport


class Named(Protocol):
    """A callable as a table names it: a `Target`, or a `JobTarget`."""

    @property
    def module(self) -> str:
        """Where it is."""
        ...

    @property
    def qualname(self) -> str:
        """Its name there."""
        ...

    @property
    def older_modules(self) -> tuple[str, ...]:
        """Where older releases have it."""
        ...

    @property
    def optional(self) -> bool:
        """Whether some releases lack it."""
        ...


class Callables(NamedTuple):
    """Some of a table's callables, by their names: what became of each here.

    `seen` can be patched, `missing` should be in the installed release and are not, `absent` are in other releases.
    """

    seen: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class Examined(NamedTuple):
    """What became of one provider's tables here: `package` is the import name of its SDK.

    `calls` are callables whose calls are operations, `jobs` those that see jobs; `error` says why the SDK could not be
    imported.
    """

    name: str
    package: str
    is_installed: bool = False
    calls: Callables = Callables()
    jobs: Callables = Callables()
    error: str | None = None


def examine(name: str, calls: Iterable[Named], jobs: Iterable[Named], installed: OnImport) -> Examined:
    """Imports the SDK, if there is one; its patches have to be installed before."""
    package, calls, jobs = installed.package, _of_installed(calls), _of_installed(jobs)
    if not _is_there(package):
        return Examined(name, package)
    try:
        importlib.import_module(package)
        for target in (*calls, *jobs):
            _import_first(target)
    except Exception as error:
        return Examined(name, package, True, error=f"{type(error).__name__}: {error}")
    return Examined(name, package, True, _sorted_out(calls, installed), _sorted_out(jobs, installed))


def _of_installed(targets: Iterable[Named]) -> tuple[Named, ...]:
    """Without those of other distributions above the SDK that are not there, of which nothing is to be said."""
    return tuple(each for each in targets if not each.optional or _is_there(each.module.partition(".")[0]))


def _sorted_out(targets: Iterable[Named], installed: OnImport) -> Callables:
    applied = {(patch.module, patch.qualname) for patch in installed.patches if patch.applied}
    seen: list[str] = []
    missing: list[str] = []
    absent: list[str] = []
    for target in targets:
        is_seen = (target.module, target.qualname) in applied
        (seen if is_seen else absent if target.optional else missing).append(target.qualname)
    return Callables(tuple(seen), tuple(missing), tuple(absent))


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # What it is a part of is not there.
        return False


def _import_first(target: Named) -> None:
    """The module, or the one where an older release has it; without any the callable is missing. An optional one may
    also need what is not installed."""
    for module in (target.module, *target.older_modules):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            is_there = error.name is None or not f"{module}.".startswith(f"{error.name}.")
            if is_there and not target.optional:
                raise
        else:
            return
