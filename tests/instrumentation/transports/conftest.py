"""Each library's requests; left out, and said, where one of the libraries is not installed."""

from __future__ import annotations

import importlib.util

import pytest

LIBRARIES = {"test_stages.py": ("aiohttp", "httpx", "httpx2", "requests"), "test_botocore.py": ("boto3",)}
MISSING = {
    name: missing
    for name, libraries in LIBRARIES.items()
    if (missing := [library for library in libraries if importlib.util.find_spec(library) is None])
}
collect_ignore = [*MISSING]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, missing in MISSING.items():
        terminalreporter.write_line(f"No transports/{name}: {', '.join(missing)} not installed here.")
