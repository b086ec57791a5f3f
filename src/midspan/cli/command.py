"""The command line that is to be watched: checked, and made whole, before anything is started."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from midspan.cli.wrong_use import WrongUseError

_PYTHON = re.compile(r"python[0-9.]*$")


def split(arguments: Sequence[str], with_value: frozenset[str]) -> tuple[list[str], list[str]]:
    """Parts `arguments` into midspan's own options and the command, which `--`, `-m` or a plain word begins."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "--":
            return list(arguments[:index]), list(arguments[index + 1 :])
        if word == "-m" or not word.startswith("-"):
            break
        index += 2 if word in with_value else 1
    return list(arguments[:index]), list(arguments[index:])


def resolve(words: Sequence[str]) -> list[str]:
    """The command to start: `app.py` and `-m module` get this Python. Raises WrongUseError for what cannot start."""
    if not words:
        raise WrongUseError("run: no command given: midspan run -- python app.py")
    if words[0] == "-m":
        return [sys.executable, "-m", _module(words), *words[2:]]
    if words[0].endswith(".py") and not os.access(words[0], os.X_OK):
        return [sys.executable, _readable(words[0]), *words[1:]]
    program = _program(words[0])
    if _PYTHON.match(Path(program).name) and len(words) > 1 and not words[1].startswith("-"):
        _readable(words[1])
    return [program, *words[1:]]


def _program(word: str) -> str:
    found = shutil.which(word)
    if found is not None:
        return found
    if _PYTHON.match(word):
        return sys.executable
    if os.path.isdir(word):
        raise WrongUseError(f"run: {word} is a folder; a program or a Python file is needed")
    if os.path.exists(word):
        raise WrongUseError(f"run: {word} is not executable; a program or a Python file is needed")
    raise WrongUseError(f"run: there is no command {word!r}; a program on PATH or a Python file is needed")


def _readable(path: str) -> str:
    """A file, or what Python takes in its place: a folder or an archive with a `__main__`."""
    if not os.path.exists(path):
        raise WrongUseError(f"run: there is no file {path!r}; a Python file is needed")
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "__main__.py")):
        raise WrongUseError(f"run: {path} is a folder without a __main__.py; a Python file is needed")
    if not os.access(path, os.R_OK):
        raise WrongUseError(f"run: {path} cannot be read; a Python file that can be read is needed")
    return path


def _module(words: Sequence[str]) -> str:
    if len(words) < 2 or words[1].startswith("-"):
        raise WrongUseError("run: -m needs the name of a module")
    top = words[1].partition(".")[0]
    # Only the first part: looking for the rest would import the package here.
    if top not in sys.builtin_module_names and not PathFinder.find_spec(top, ["", *sys.path]):
        raise WrongUseError(f"run: there is no module {top!r} for {sys.executable}")
    return words[1]
