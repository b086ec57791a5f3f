"""The environment of a test's processes."""

from __future__ import annotations

import os
import sys

FORK_WARNING = "ignore:This process:DeprecationWarning"
"""Since Python 3.12 a fork warns in every process that has a second thread, as every process under midspan has."""

CHANGING = ("MIDSPAN_", "OTEL_", "COLUMNS", "LINES")
"""What the names of variables begin with that change what is tested; processes of pytest have the size of a screen."""

SERVERS_PYTHON = "PYTHON_WITH_SERVERS"
"""Names the Python of the environment that has the servers, for the tests of another that has not (tests/majors.py)."""


def servers_python() -> str:
    """The Python that the servers of tests are run with."""
    return os.environ.get(SERVERS_PYTHON, sys.executable)


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without what would change midspan, OpenTelemetry or a screen, and with the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CHANGING)}
    return {**kept, "PYTHONWARNINGS": FORK_WARNING, **more}
