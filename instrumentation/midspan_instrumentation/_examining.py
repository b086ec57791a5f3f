"""Whether the tables fit the SDKs that are installed: which of the named callables are there, and are wrapped."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import NamedTuple

from midspan_instrumentation._patch import Patch
from midspan_instrumentation.provider import Target


class Examined(NamedTuple):
    """What became of one provider's table here: `packages` are the import names of its SDK.

    `missing` are callables that the installed release lacks, `error` says why the SDK could not be imported.
    """

    name: str
    packages: tuple[str, ...]
    is_installed: bool = False
    seen: int = 0
    missing: tuple[str, ...] = ()
    error: str | None = None


def examine(name: str, targets: Iterable[Target], patches: Iterable[Patch]) -> Examined:
    """Imports the SDK, if it is installed; its patches have to be installed before."""
    targets = tuple(targets)
    packages = tuple(dict.fromkeys(target.module.partition(".")[0] for target in targets))
    if not any(importlib.util.find_spec(package) for package in packages):
        return Examined(name, packages)
    try:
        for target in targets:
            _import_first((target.module, *target.older_modules))
    except Exception as error:
        return Examined(name, packages, True, error=f"{type(error).__name__}: {error}")
    applied = {patch.qualname for patch in patches if patch.applied}
    missing = [target.qualname for target in targets if target.qualname not in applied and not target.optional]
    return Examined(name, packages, True, sum(target.qualname in applied for target in targets), tuple(missing))


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
