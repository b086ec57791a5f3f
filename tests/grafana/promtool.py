"""Runs the tests of the rules by promtool, on the rules as they are and on others."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.programs import program

GRAFANA = Path(__file__).parent.parent.parent / "grafana"
RULES = GRAFANA / "alerts" / "midspan.yaml"
TESTS = RULES.parent / "tests"
SUITES = sorted(path.stem for path in TESTS.glob("*.yaml"))


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What it says, and how it ends."""
    return _run("promtool", *words)


def amtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The same of Alertmanager's tool."""
    return _run("amtool", *words)


def _run(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(name), *words], capture_output=True, text=True, timeout=60, check=False)


def verdict(tests: str, rules: str, folder: Path) -> str:
    """What the text `tests` says about the rules of the text `rules`; empty when it finds nothing wrong."""
    suite = folder / "tests" / "suite.yaml"
    suite.parent.mkdir(parents=True)
    suite.write_text(tests)
    (folder / "midspan.yaml").write_text(rules)
    done = promtool("test", "rules", suite)
    return "" if done.returncode == 0 else done.stdout + done.stderr
