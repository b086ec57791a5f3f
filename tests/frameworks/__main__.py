"""Run the frameworks' tests, each in an environment of its own: `python -m tests.frameworks [NAME…] [-- PYTEST…]`.

Environments are kept below `.venv-frameworks/` as long as their pins stay the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers.environments import PINS, ROOT, BuildError, Environment

HERE = Path(__file__).parent
OWN_PINS = HERE / "requirements"
FRAMEWORKS = tuple(sorted(path.stem for path in OWN_PINS.glob("*.txt")))


def environment(name: str) -> Environment:
    """The framework, midspan, and what its tests need."""
    pins = (OWN_PINS / f"{name}.txt", PINS / "build.txt")
    return Environment(ROOT / ".venv-frameworks" / name, pins, midspan=True)


def tested(name: str, arguments: list[str]) -> str:
    """Run one framework's tests; returns what came of it, "passed" when all is well."""
    begun = time.monotonic()
    try:
        python = environment(name).build()
    except BuildError as error:
        return f"NOT RUN: its environment cannot be built:\n{error}"
    print(f"== {name}", flush=True)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "MIDSPAN_", "OPENAI_"))}
    environ |= {"FRAMEWORK": name, "PYTHONPATH": str(ROOT)}
    # Frameworks leave clients of theirs open.
    command = [python, "-m", "pytest", HERE, "-W", "ignore:unclosed:ResourceWarning", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)
    seconds = f"{time.monotonic() - begun:.0f} s"
    return f"passed ({seconds})" if done.returncode == 0 else f"FAILED ({seconds})"


def main(arguments: list[str]) -> int:
    """Test the frameworks that are named, or all."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, for_pytest = arguments[:split] or list(FRAMEWORKS), arguments[split + 1 :]
    unknown = [name for name in names if name not in FRAMEWORKS]
    if unknown:
        print(f"no such framework: {', '.join(unknown)}; there are {', '.join(FRAMEWORKS)}", file=sys.stderr)
        return 2
    outcomes = {name: tested(name, for_pytest) for name in names}
    print("\nframeworks:", *(f"  {name}: {outcome}" for name, outcome in outcomes.items()), sep="\n")
    return int(any(not outcome.startswith("passed") for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
