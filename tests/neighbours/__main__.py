"""Run the neighbours' tests, each in an environment of its own: `python -m tests.neighbours [NAME…] [-- PYTEST…]`.

Environments are kept below `.venv-neighbours/` as long as their pins stay the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers.environments import PINS, ROOT, Environment
from tests import apart
from tests.neighbours.neighbours import NEIGHBOURS

OWN_PINS = Path(__file__).parent / "requirements"


def neighbour(name: str) -> apart.Apart:
    """Its tests, with the neighbour's pins, midspan's own, and those of the tests."""
    own = OWN_PINS / f"{name}.txt"
    theirs = own if own.exists() else PINS / f"{name}.txt"
    pins = (theirs, PINS / "midspan.txt", PINS / "build.txt", OWN_PINS / "tests.txt")
    environment = Environment(ROOT / ".venv-neighbours" / name, pins, midspan=True)
    environ = {"NEIGHBOUR": name, "PYTHONPATH": str(ROOT)}
    return apart.Apart(environment.build, (Path(__file__).parent,), environ)


if __name__ == "__main__":
    sys.exit(apart.main("neighbour", {name: neighbour(name) for name in NEIGHBOURS}, sys.argv[1:]))
