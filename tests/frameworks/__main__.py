"""Run the frameworks' tests, each in an environment of its own: `python -m tests.frameworks [NAME…] [-- PYTEST…]`.

Environments are kept below `.venv-frameworks/` as long as their pins stay the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers.environments import PINS, ROOT, Environment
from tests import apart

HERE = Path(__file__).parent
OWN_PINS = HERE / "requirements"
# They leave clients of theirs open.
ARGUMENTS = (HERE, "-W", "ignore:unclosed:ResourceWarning")


def framework(name: str) -> apart.Apart:
    """Its tests, with the framework, midspan, and what the tests need."""
    pins = (OWN_PINS / f"{name}.txt", PINS / "build.txt")
    environment = Environment(ROOT / ".venv-frameworks" / name, pins, midspan=True)
    return apart.Apart(environment.build, ARGUMENTS, {"FRAMEWORK": name, "PYTHONPATH": str(ROOT)})


if __name__ == "__main__":
    names = sorted(path.stem for path in OWN_PINS.glob("*.txt"))
    sys.exit(apart.main("framework", {name: framework(name) for name in names}, sys.argv[1:]))
