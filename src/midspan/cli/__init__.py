"""The command `midspan`. Wrong use is one line on stderr and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from midspan.cli.wrong_use import WrongUseError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sub-command that `argv` names (default: the process's arguments); returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except WrongUseError as wrong:
        print(f"midspan: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Where a command does not wait for it, it has not begun yet.
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else None
    if command in ("-h", "--help"):
        print(_USAGE)
        return 0
    if command == "--version":
        from importlib.metadata import version

        print(f"midspan {version('midspan')}")
        return 0
    if command in _COMMANDS:
        return import_module(f"midspan.cli.{command}").main(arguments[1:])
    said = "no command given" if command is None else f"unknown command {command!r}"
    raise WrongUseError(f"{said}; there are: {', '.join(_COMMANDS)} (midspan --help)")


_COMMANDS = ("run", "serve", "watch", "demo", "grafana", "top", "doctor")


_USAGE = """\
usage: midspan run [options] -- COMMAND ...   run a program and show its LLM operations while they run
       midspan serve [options]                serve the API, and start tasks through it
       midspan watch PROVIDER JOB_ID          a batch, fine-tuning or other job at a provider, until it has ended
       midspan top [URL]                      the operations of a running server, live in this terminal
       midspan demo                           the same on a real model and two example programs
       midspan grafana export [options] DIR   dashboards for Grafana and rules for Prometheus
       midspan doctor                         what is installed, patched and reachable, and what to do about it
       midspan --version

midspan COMMAND --help tells the options."""
