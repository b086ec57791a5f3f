"""Compare midspan with other tools that watch the same calls: `python -m benchmarks.peers`.

Each measurement is a process of its own in the tool's own environment; within a round all are shuffled. The figure is
CPU time of the whole process, because wall time on a shared machine measures the neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.peers import report
from benchmarks.peers.attach import PEERS
from benchmarks.peers.environments import PINS, ROOT, BuildError, peer
from benchmarks.peers.work import WORK

ROUNDS = 3


def main() -> int:
    """Build the environments, measure, print the table, keep the raw data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--peers", nargs="+", choices=sorted(PEERS), default=list(PEERS))
    parser.add_argument("--work", nargs="+", choices=sorted(WORK), default=list(WORK))
    arguments = parser.parse_args()
    begun = time.monotonic()
    try:
        pythons = {name: peer(PEERS[name].environment or name).build() for name in arguments.peers}
    except BuildError as error:
        print(f"an environment cannot be built:\n{error}", file=sys.stderr)
        return 1
    raw: report.Raw = {name: {work: [] for work in arguments.work} for name in pythons}
    measure(raw, pythons, arguments.rounds)
    text = report.tables(raw, arguments.rounds)
    print(text)
    if len(raw) == len(PEERS) and len(arguments.work) == len(WORK):
        report.keep(report.document(raw, arguments.rounds, time.monotonic() - begun, packages(pythons)), text)
    return 0


def measure(raw: report.Raw, pythons: dict[str, Path], rounds: int) -> None:
    """Everything, `rounds` times; what repeats by itself once, and two at a time, because it is no time."""
    jobs = [(name, work) for name in raw for work in raw[name] if WORK[work].once or not PEERS[name].memory_only]
    once = [job for job in jobs if WORK[job[1]].once]
    timed = [job for job in jobs if not WORK[job[1]].once]
    for name in {name for name, _ in timed}:
        # Compiles what is not yet: the first start is nobody's.
        one(pythons[name], name, "switch-on")
    for number in range(rounds if timed else 0):
        begun = time.monotonic()
        for name, work in random.sample(timed, len(timed)):
            raw[name][work].append(one(pythons[name], name, work))
        print(f"round {number + 1} of {rounds}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(max(1, min(2, (os.cpu_count() or 1)))) as pool:
        for (name, work), result in zip(once, pool.map(lambda job: one(pythons[job[0]], *job), once), strict=True):
            raw[name][work].append(result)


def one(python: Path, name: str, work: str) -> dict[str, float]:
    """One measurement in a fresh process. Ends the run when it fails: a hole in the table helps nobody."""
    command = [python, "-W", "ignore", "-m", "benchmarks.peers.work", name, work]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=quiet_environment() | dict(PEERS[name].variables),
        cwd=ROOT,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{name} {work} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def quiet_environment() -> dict[str, str]:
    """The environment of a measurement: nobody's settings, and nothing to phone home with."""
    foreign = ("OTEL_", "MIDSPAN_", "LANGFUSE_", "LOGFIRE_", "OPENLIT_", "OPENAI_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}


def packages(names: Iterable[str]) -> dict[str, list[str]]:
    """The pins of each environment."""
    return {name: (PINS / f"{name}.txt").read_text().split() for name in names if PEERS[name].environment is None}


if __name__ == "__main__":
    sys.exit(main())
