"""OpenTelemetry's own set-up under `midspan run`, where it goes wrong."""

from __future__ import annotations

import subprocess
import sys

from tests.environ import clean_environ

PROGRAM = """
import midspan
from midspan.runtime.wiring import runtime
with midspan.ProgressTracker(name="job"):
    pass
print(runtime().patched, [str(operation.status) for operation in midspan.get_progress_registry().operations()])
"""


def test_what_opentelemetry_refuses_is_told_in_one_line_and_midspan_works_without_it() -> None:
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--"]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environ(OTEL_TRACES_EXPORTER="nosuch"),
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True ['completed']\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert "nothing is exported" in line and "nosuch" in line
