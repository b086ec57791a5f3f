"""Run every workload with and without midspan, side by side, and print medians of differences.

Each measurement is a process of its own, but for calls and streams, where one process does them each way in turns;
within a round the measurements are shuffled. The figure is CPU time of the whole process (`time.process_time`: all
threads), because wall time on a shared machine measures the neighbours.
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import os
import platform
import random
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import turns
from benchmarks.workloads import BUDGETS, Budget

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
SCRIPTS = ("soak", "collectors", "readers", "providers")
"""Modules that are run once, each in a process of its own: `main` prints its figures as JSON, `table` shows them."""


def main() -> int:
    """Measure what was asked for (everything by default), print a table, keep the raw data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of: {', '.join(known_names())}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", action="store_true", help="write the raw data of these, beside that of the others")
    arguments = parser.parse_args()
    budgets = [budget for budget in BUDGETS if not arguments.names or budget.name in arguments.names]
    raw = measure(budgets, arguments.rounds) if budgets else {}
    if raw:
        print(table(budgets, raw))
    once = {name: run_script(name) for name in SCRIPTS if not arguments.names or name in arguments.names}
    if arguments.keep or not arguments.names:
        keep(raw, arguments.rounds, once)
    return 0


def known_names() -> list[str]:
    """What can be asked for."""
    return [*(budget.name for budget in BUDGETS), *SCRIPTS]


def run_script(name: str) -> dict[str, Any]:
    """The figures of one script, which are printed as well."""
    figures = json.loads(output_of(f"benchmarks.{name}").splitlines()[-1])
    print(f"\n{import_module(f'benchmarks.{name}').table(figures)}")
    return figures


def measure(budgets: list[Budget], rounds: int) -> dict[str, list[float]]:
    """Every workload that the budgets need, `rounds` times: name → values."""
    names = {name for budget in budgets for name in (budget.workload, budget.baseline, budget.by_hand) if name}
    runs = sorted({run_of(name) for name in names})
    raw: dict[str, list[float]] = {name: [] for name in sorted(names)}
    for number in range(rounds):
        for run in random.sample(runs, len(runs)):
            for name, value in figures_of(run).items():
                raw.setdefault(name, []).append(value)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return raw


def run_of(name: str) -> str:
    """The process that measures the figure of this name: its own, or one that has several ways in turns."""
    group = name.partition(".")[0]
    return group if group in turns.WORKLOADS else name


def figures_of(run: str) -> dict[str, float]:
    """What one fresh process has measured, by name."""
    if run in turns.WORKLOADS:
        return json.loads(output_of("benchmarks.turns", run).splitlines()[-1])
    return {run: float(output_of("benchmarks.workloads", run).split()[-1])}


def output_of(*words: str) -> str:
    """What a module of ours prints, run in a process of its own."""
    command = [sys.executable, "-m", *words]
    # Without its byte code Python would compile midspan, and nothing else, at every start.
    left_out = ("OTEL_", "MIDSPAN_", "PYTHONDONTWRITEBYTECODE")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=1_800, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def table(budgets: list[Budget], raw: dict[str, list[float]]) -> str:
    """The medians as a Markdown table."""
    rows = [f"| what | with | without | difference | budget |{chr(10)}|---|---|---|---|---|"]
    for budget in budgets:
        with_midspan = statistics.median(raw[budget.workload])
        without = statistics.median(raw[budget.baseline]) if budget.baseline else 0.0
        figure = counted = _difference(raw, budget.workload, budget.baseline)
        told, unit = f"{figure:.2f} {budget.unit}", f" {budget.unit}"
        if budget.by_hand:
            counted, unit = figure / _difference(raw, budget.by_hand, budget.baseline), " times by hand"
            told = f"{told}, {counted:.2f}{unit}"
        mark = "" if counted <= budget.limit else " (over)"
        allowed = f"≤ {budget.limit:.4g}{unit}" if budget.limit < math.inf else ""
        rows.append(f"| {budget.what} | {with_midspan:.2f} | {without:.2f} | **{told}**{mark} | {allowed} |")
    return "\n".join(rows)


def _difference(raw: dict[str, list[float]], workload: str, baseline: str | None) -> float:
    """The middle of the rounds, each compared within itself: the machine is another one from round to round."""
    if baseline is None:
        return statistics.median(raw[workload])
    return statistics.median(map(operator.sub, raw[workload], raw[baseline]))


def keep(raw: dict[str, list[float]], rounds: int, once: dict[str, dict[str, Any]]) -> None:
    """Write the raw data next to the benchmark; what was not measured now stays as it is."""
    path = RESULTS / f"python-{platform.python_version()}.json"
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    packages = ("midspan", "openai", "opentelemetry-sdk", "wrapt", "msgspec", "prometheus-client")
    known = {name for budget in BUDGETS for name in (budget.workload, budget.baseline, budget.by_hand)}
    values = {name: each for name, each in before.get("values", {}).items() if name in known} | raw
    run = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "rounds": rounds}
    document = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "packages": {name: version(name) for name in packages},
        "unit": {budget.workload: budget.unit for budget in BUDGETS},
        "runs": before.get("runs", {}) | dict.fromkeys([*raw, *once], run),
        "values": values,
        "medians": {name: statistics.median(each) for name, each in values.items()},
        "once": before.get("once", {}) | once,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"\nraw data: {path.relative_to(RESULTS.parent.parent)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
