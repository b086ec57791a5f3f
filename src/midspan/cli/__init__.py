"""The command `midspan`. Wrong use is one line on stderr and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from midspan.cli.wrong_use import WrongUseError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sub-command that `argv` names (default: the process's arguments); returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except WrongUseError as wrong:
        print(f"midspan: {wrong}", file=sys.stderr)
        return 2


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else None
    if command in ("-h", "--help"):
        print(_USAGE)
        return 0
    if command == "--version":
        from importlib.metadata import version

        print(f"midspan {version('midspan')}")
        return 0
    if command == "run":
        from midspan.cli.run import main as run

        return run(arguments[1:])
    if command == "demo":
        from midspan.cli.demo import main as demo

        return demo(arguments[1:])
    said = "no command given" if command is None else f"unknown command {command!r}"
    raise WrongUseError(f"{said}; there are: run, demo (midspan --help)")


_USAGE = """\
usage: midspan run [options] -- COMMAND ...   run a program and show its LLM operations while they run
       midspan demo                           the same on a real model and two example programs
       midspan --version

midspan run --help tells the options."""
