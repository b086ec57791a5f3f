"""What was asked for cannot be done: said in one line, without a traceback."""

from __future__ import annotations

import argparse
from typing import NoReturn


class WrongUseError(Exception):
    """The command line, or something it names, is wrong. The message says what is accepted."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises WrongUseError in place of printing the usage and leaving."""
        raise WrongUseError(f"{self.prog.removeprefix('midspan ')}: {message} ({self.prog} --help)")
