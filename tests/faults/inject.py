"""Every function of midspan, found by looking, and made to raise."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType, ModuleType

import midspan
import midspan_instrumentation

PACKAGES = (midspan, midspan_instrumentation)


class InjectedError(Exception):
    """A failure of ours."""


def _template(*args: object, **kwargs: object) -> None:
    raise "the exception"  # type: ignore[misc]  # noqa: B016 - a constant, for which the class is put below


def _raising(code: CodeType) -> CodeType:
    """Code that raises, to take the place of `code` in functions with the same closure."""
    template = _template.__code__
    constants = tuple(InjectedError if value == "the exception" else value for value in template.co_consts)
    return template.replace(co_consts=constants, co_freevars=code.co_freevars)


@contextmanager
def raising(function: FunctionType) -> Generator[None]:
    """Inside, the function raises whoever calls it by whatever name: its code is exchanged, not its name."""
    code = function.__code__
    _exchange(function, _raising(code))
    try:
        yield
    finally:
        _exchange(function, code)


def _exchange(function: FunctionType, code: CodeType) -> None:
    with warnings.catch_warnings():
        # A generator's code and a plain function's: what is wanted here.
        warnings.simplefilter("ignore", DeprecationWarning)
        function.__code__ = code


def functions(left_out: Callable[[str], bool]) -> dict[str, FunctionType]:
    """Name → function, of all modules but those left out. A decorated function is the one inside."""
    found: dict[str, FunctionType] = {}
    for module in _modules(left_out):
        for owner in (module, *_classes(module)):
            for function in _own(owner):
                if function.__code__.co_filename == module.__file__:
                    found[f"{module.__name__}.{function.__qualname__}"] = function
    return found


def _modules(left_out: Callable[[str], bool]) -> Iterator[ModuleType]:
    for package in PACKAGES:
        yield package
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda _: None):
            if not left_out(info.name):
                yield importlib.import_module(info.name)


def _classes(module: ModuleType) -> Iterator[type]:
    return (value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__)


def _own(owner: object) -> Iterator[FunctionType]:
    for value in list(vars(owner).values()):
        for held in (value.fget, value.fset) if isinstance(value, property) else (value,):
            plain = inspect.unwrap(getattr(held, "__func__", held)) if callable(held) or held is not None else held
            if isinstance(plain, FunctionType):
                yield plain


@contextmanager
def called() -> Generator[set[CodeType]]:
    """The code of every function that is called inside, in this thread and in those that it starts."""
    seen: set[CodeType] = set()

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
