"""Put a wrapper on one callable of a module when that module is imported, and take it off again."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeGuard, cast

import wrapt

from midspan_instrumentation._guard import guarded

logger = logging.getLogger("midspan.instrumentation")

# An import hook may run in any thread, and inside `install` when the module is there already.
_lock = threading.RLock()


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)


class Wrapper(Protocol):
    """What stands in for the wrapped callable; the signature is wrapt's."""

    def __call__(
        self,
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        /,
    ) -> object: ...


if TYPE_CHECKING:
    AnyWrapper = wrapt.FunctionWrapper[..., object]
else:
    # Generic for the type checker only.
    AnyWrapper = wrapt.FunctionWrapper


class Seam(AnyWrapper):
    """A wrapper of ours: the type tells it from other tools' wrappers."""


def _is_wrapper(found: object) -> TypeGuard[AnyWrapper]:
    return isinstance(found, wrapt.FunctionWrapper)


class Patch:
    """One callable, wrapped from the import of its module until `remove`.

    The module is never imported by this. A wrapper of another tool that is there already stays
    outside of ours, and one that came later stays when ours is removed.
    """

    def __init__(
        self,
        module: str,
        qualname: str,
        wrapper: Wrapper,
        older_modules: tuple[str, ...] = (),
        optional: bool = False,
    ) -> None:
        self.module = module
        self.qualname = qualname
        # Filled while calls are to be seen. wrapt asks its truth before each call, also in copies that the SDK keeps; a
        # function that it would have to call takes longer.
        self._switch: list[bool] = []
        self._modules = (module, *older_modules)
        # Whether its absence is no news: because some releases lack it, or because it was told.
        self._silent = optional
        self._wrapper = wrapper
        self._hooked = False
        self._owner: object = None
        self._seam: Seam | None = None

    def install(self) -> None:
        """Wrap now if the module is loaded, else on its import. A second call changes nothing."""
        with _lock:
            self._switch[:] = [True]
            if self._hooked:
                self._wrap_loaded()
                return
            self._hooked = True
            for name in self._modules:
                wrapt.register_post_import_hook(self._on_import, name)

    def remove(self) -> None:
        """Restore what was there, under other tools' wrappers too; where that fails, go inert."""
        with _lock:
            self._switch.clear()
            if self._seam is not None and self._unwrap(self._seam):
                self._seam = self._owner = None

    @property
    def applied(self) -> bool:
        """True while the callable is wrapped."""
        return self._seam is not None

    def _wrap_loaded(self) -> None:
        for name in self._modules:
            module = sys.modules.get(name)
            if module is not None:
                self._on_import(module)

    @guarded("patch")
    def _on_import(self, module: ModuleType) -> None:
        with _lock:
            if self._switch and self._seam is None:
                self._wrap(module)

    def _wrap(self, module: ModuleType) -> None:
        owner = _owner(module, self.qualname)
        name = self.qualname.rpartition(".")[2]
        found: object = None if owner is None else vars(owner).get(name)
        if found is None:
            self._skip(module)
            return
        above, inner = _innermost(found)
        seam = Seam(cast(Callable[..., object], inner), self._wrapper, enabled=cast(bool, self._switch))
        if above is None:
            setattr(owner, name, seam)
        else:
            above.__wrapped__ = seam
        self._owner, self._seam = owner, seam

    def _skip(self, module: ModuleType) -> None:
        # In an older module's place a newer SDK has a package that lacks the name: no news.
        if module.__name__ != self.module or self._silent:
            return
        self._silent = True
        logger.warning(
            "midspan: %s has no %s (%s): its calls are not seen", self.module, self.qualname, _version_of(module)
        )

    def _unwrap(self, seam: Seam) -> bool:
        name = self.qualname.rpartition(".")[2]
        found: object = vars(self._owner).get(name)
        if found is seam:
            setattr(self._owner, name, seam.__wrapped__)
            return True
        while _is_wrapper(found):
            if found.__wrapped__ is seam:
                found.__wrapped__ = seam.__wrapped__
                return True
            found = found.__wrapped__
        return False


def _version_of(module: ModuleType) -> str:
    root = module.__name__.partition(".")[0]
    try:
        return f"{root} {metadata.version(root)}"
    except metadata.PackageNotFoundError:
        return f"{root} {vars(sys.modules[root]).get('__version__', 'of an unknown version')}"


def _owner(module: ModuleType, qualname: str) -> object:
    """What holds the callable, or None. Looks in namespaces only: a module's `__getattr__` would
    load its lazy parts."""
    owner: object = module
    for part in qualname.split(".")[:-1]:
        owner = vars(owner).get(part)
        if owner is None:
            return None
    return owner


def _innermost(found: object) -> tuple[AnyWrapper | None, object]:
    """The lowest of other tools' wrappers on a callable (None if there is none), and what it wraps.

    The SDK's own decorators are plain functions: only wrapt's wrappers call what `__wrapped__` is
    at the time of the call, and so can be spliced under."""
    above: AnyWrapper | None = None
    while _is_wrapper(found):
        above, found = found, found.__wrapped__
    return above, found
