"""Each file has the tests of one SDK; those of an SDK that is not installed are left out."""

from __future__ import annotations

import pytest

from tests.fakes.sdks import MISSING

collect_ignore = [f"test_{provider}.py" for provider in MISSING]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MISSING:
        terminalreporter.write_line(f"No tests of {', '.join(MISSING)}: not installed here.")
