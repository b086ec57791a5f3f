"""One `midspan serve` for all of these tests: of another Python than the client's where its version is one that the
server does not take."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environ import clean_environ, servers_python


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    words = [
        servers_python(),
        "-m",
        "midspan",
        "serve",
        "--port",
        "0",
        "--tasks",
        Path(__file__).with_name("served_tasks.py"),
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=clean_environ())
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, "the server has not started"
        yield f"http://{line.split('http://')[1].split()[0]}/mcp"
    finally:
        process.terminate()
        process.communicate(timeout=20)
