"""Patches that are made when a package is imported: the table of an SDK that nobody uses is never read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from types import ModuleType

import wrapt

from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Patch

# Reentrant: reading a table, or wrapping, may import in turn.
_lock = threading.RLock()


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)


class OnImport:
    """The patches of a package, which `make` gives; made once, when it is imported or if it has been, or one of `more`
    packages, which can be used without it.

    Modules that the package itself has imported are wrapped after it: none of it has been called by then.
    """

    def __init__(self, package: str, make: Callable[[], Iterable[Patch]], more: tuple[str, ...] = ()) -> None:
        self.package = package
        self.patches: tuple[Patch, ...] = ()
        self._packages = (package, *more)
        self._make = make
        self._active = False
        self._hooked = False
        self._made = False

    def install(self) -> None:
        """Patch now if the package is loaded, else on its import. A second call changes nothing."""
        with _lock:
            self._active = True
            self._install_made()
            if not self._hooked:
                self._hooked = True
                for package in self._packages:
                    wrapt.register_post_import_hook(self._on_import, package)

    def remove(self) -> None:
        """Restore what was there."""
        with _lock:
            self._active = False
            for patch in self.patches:
                patch.remove()

    @guarded("provider")
    def _on_import(self, _module: ModuleType) -> None:
        with _lock:
            if not self._made:
                self._made = True
                self.patches = tuple(self._make())
            self._install_made()

    def _install_made(self) -> None:
        if self._active:
            for patch in self.patches:
                patch.install()
