"""The garbage collector may run at any allocation, inside any lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_collector_that_runs_at_every_allocation_locks_nothing_up_while_another_thread_scrapes() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.endings.collecting"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (shown.stdout, shown.stderr) == ("[('cancelled', 80)] 0\n", "")
