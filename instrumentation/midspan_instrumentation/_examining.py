"""Whether the tables fit the SDKs that are installed: which of the named callables are there, and are wrapped."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import NamedTuple

from midspan_instrumentation._importing import OnImport
from midspan_instrumentation.provider import Target


class Examined(NamedTuple):
    """What became of one provider's table here: `package` is the import name of its SDK.

    `missing` are callables that the installed release lacks, `error` says why the SDK could not be imported.
    """

    name: str
    package: str
    is_installed: bool = False
    seen: int = 0
    missing: tuple[str, ...] = ()
    error: str | None = None


def examine(name: str, targets: Iterable[Target], installed: OnImport) -> Examined:
    """Imports the SDK, if there is one; its patches have to be installed before."""
    package, targets = installed.package, tuple(targets)
    if not _is_there(package):
        return Examined(name, package)
    try:
        importlib.import_module(package)
        for target in targets:
            _import_first((target.module, *target.older_modules))
    except Exception as error:
        return Examined(name, package, True, error=f"{type(error).__name__}: {error}")
    applied = {patch.qualname for patch in installed.patches if patch.applied}
    missing = [target.qualname for target in targets if target.qualname not in applied and not target.optional]
    return Examined(name, package, True, sum(target.qualname in applied for target in targets), tuple(missing))


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # What it is a part of is not there.
        return False


def _import_first(modules: tuple[str, ...]) -> None:
    """The module, or the one where an older release has it; without any the callable is missing."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
        else:
            return
