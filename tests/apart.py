"""Runs tests apart, those of each environment in that environment: `[NAME…] [-- PYTEST…]`.

The command line of `tests.majors`, `tests.neighbours` and `tests.frameworks`, which say what environments there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environments import ROOT, BuildError

FOREIGN = ("OTEL_", "MIDSPAN_", "LOGFIRE_", "OPENAI_")
"""What the names of variables begin with that the shell has for its applications: no test is to see them."""


@dataclass(frozen=True)
class Apart:
    """The tests of one environment. `build` gives its python, or raises BuildError; `arguments` are for pytest."""

    build: Callable[[], Path]
    arguments: tuple[str | Path, ...]
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    def passed(self, more: list[str]) -> bool:
        """Run them, with more arguments for pytest. Raises BuildError where their environment cannot be made."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        command = [self.build(), "-m", "pytest", *self.arguments, *more]
        return subprocess.run(command, cwd=ROOT, env={**kept, **self.environ}, check=False).returncode == 0


def main(kind: str, table: Mapping[str, Apart], arguments: list[str]) -> int:
    """Run those of the table that are named, or all: 0 when all pass, 1 when one does not, 2 for an unknown name."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, for_pytest = arguments[:split] or list(table), arguments[split + 1 :]
    if unknown := [name for name in names if name not in table]:
        print(f"no such {kind}: {', '.join(unknown)}; there are {', '.join(table)}", file=sys.stderr)
        return 2
    outcomes = {name: _outcome(name, table[name], for_pytest) for name in names}
    print(f"\n{kind}:", *(f"  {name}: {outcome}" for name, outcome in outcomes.items()), sep="\n", flush=True)
    return int(any(not outcome.startswith("passed") for outcome in outcomes.values()))


def _outcome(name: str, apart: Apart, for_pytest: list[str]) -> str:
    print(f"== {name}", flush=True)
    begun = time.monotonic()
    try:
        passed = apart.passed(for_pytest)
    except BuildError as error:
        return f"NOT RUN: its environment cannot be made:\n{error}"
    return f"{'passed' if passed else 'FAILED'} ({time.monotonic() - begun:.0f} s)"
