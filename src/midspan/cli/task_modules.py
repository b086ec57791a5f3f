"""Modules that register tasks: by file or by dotted name, imported with one clear line where that fails."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from midspan.cli.wrong_use import WrongUseError


def load(given: str) -> ModuleType:
    """Import the module. Raises WrongUseError that names it, what was raised, and where."""
    is_file = given.endswith(".py") or os.sep in given
    folder = str(Path(given).resolve().parent) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _from_file(Path(given)) if is_file else import_module(given)
    except WrongUseError:
        raise
    except (Exception, SystemExit) as error:
        raise WrongUseError(f"serve: --tasks {given} cannot be imported: {_told(error)}") from None


def _from_file(path: Path) -> ModuleType:
    name = path.stem
    if not path.is_file():
        raise WrongUseError(f"serve: --tasks {path}: there is no such file; a Python file or a module is needed")
    if name in sys.modules:
        raise WrongUseError(f"serve: --tasks {path}: a module {name!r} is imported already; rename the file")
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WrongUseError(f"serve: --tasks {path} is no Python file")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _told(error: BaseException) -> str:
    """The error in one line, and the last place of the module's own that it came through."""
    first = str(error).partition("\n")[0]
    told = f"{type(error).__name__}: {first}" if first else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f"{told} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else told


def _is_users(filename: str) -> bool:
    return not filename.startswith("<") and filename != __file__ and "importlib" not in filename
