"""One `midspan serve` for all of these tests: of another Python where the variable names one, as the client may be of a
version that the server does not take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environ import clean_environ

SERVER_PYTHON = "MCP_SERVER_PYTHON"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    python = os.environ.get(SERVER_PYTHON, sys.executable)
    words = [python, "-m", "midspan", "serve", "--port", "0", "--tasks", Path(__file__).with_name("served_tasks.py")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=clean_environ())
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, "the server has not started"
        yield f"http://{line.split('http://')[1].split()[0]}/mcp"
    finally:
        process.terminate()
        process.communicate(timeout=20)
