"""Run the neighbours' tests, each in an environment of its own: `python -m tests.neighbours [NAME…] [-- PYTEST…]`.

Environments are kept below `.venv-neighbours/` as long as their pins stay the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers.environments import PINS, ROOT, BuildError, Environment
from tests.neighbours.neighbours import NEIGHBOURS

OWN_PINS = Path(__file__).parent / "requirements"


def environment(name: str) -> Environment:
    """The neighbour's pins, midspan's own, and those of the tests."""
    own = OWN_PINS / f"{name}.txt"
    theirs = own if own.exists() else PINS / f"{name}.txt"
    pins = (theirs, PINS / "midspan.txt", PINS / "build.txt", OWN_PINS / "tests.txt")
    return Environment(ROOT / ".venv-neighbours" / name, pins, midspan=True)


def tested(name: str, arguments: list[str]) -> str:
    """Run one neighbour's tests; returns what came of it, "passed" when all is well."""
    begun = time.monotonic()
    try:
        python = environment(name).build()
    except BuildError as error:
        return f"NOT RUN: its environment cannot be built:\n{error}"
    print(f"== {name}", flush=True)
    foreign = ("OTEL_", "MIDSPAN_", "LOGFIRE_")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    environ |= {"NEIGHBOUR": name, "PYTHONPATH": str(ROOT)}
    command = [python, "-m", "pytest", Path(__file__).parent, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)
    seconds = f"{time.monotonic() - begun:.0f} s"
    return f"passed ({seconds})" if done.returncode == 0 else f"FAILED ({seconds})"


def main(arguments: list[str]) -> int:
    """Test the neighbours that are named, or all."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, for_pytest = arguments[:split] or list(NEIGHBOURS), arguments[split + 1 :]
    unknown = [name for name in names if name not in NEIGHBOURS]
    if unknown:
        print(f"no such neighbour: {', '.join(unknown)}; there are {', '.join(NEIGHBOURS)}", file=sys.stderr)
        return 2
    outcomes = {name: tested(name, for_pytest) for name in names}
    print("\nneighbours:", *(f"  {name}: {outcome}" for name, outcome in outcomes.items()), sep="\n")
    return int(any(not outcome.startswith("passed") for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
