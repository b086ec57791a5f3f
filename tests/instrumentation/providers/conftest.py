"""Each file has the tests of one SDK; those of an SDK that is not installed are left out."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.fakes.sdks import MISSING

# Beside botocore, which it pins to a version of its own.
NOT_HERE = MISSING if find_spec("aiobotocore") else (*MISSING, "aiobotocore")
collect_ignore = [f"test_{sdk}.py" for sdk in NOT_HERE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NOT_HERE:
        terminalreporter.write_line(f"No tests of {', '.join(NOT_HERE)}: not installed here.")
