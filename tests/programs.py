"""Programs that are no Python packages, for tests that need the real one; `.ci/run` installs them."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import NoReturn
from urllib.error import HTTPError

import pytest

NAMES = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "amtool": ("amtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "node": ("node", "nodejs"),
    "npm": ("npm",),
}
"""What a program is called, by system."""
WITHIN = 20.0
"""Seconds in which a program has to be there."""
NOT_HANDED_OUT = (10_240, 32_768)
"""Ports that no system takes for the near end of a connection unless it is told to."""


def program(name: str) -> str:
    """The path of the program `name` of `NAMES`. Where there is none the test is skipped, and fails under CI=true."""
    found = next((path for path in map(shutil.which, NAMES[name]) if path), None)
    return found if found is not None else without(f"{name} is not installed")


def without(reason: str) -> NoReturn:
    """Give the test up: something that it needs is missing. That is a failure under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI must not do without", pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """A port of loopback on which nobody listens, for programs that cannot say which one they have taken.

    Below those that the system hands out by itself: until the program has taken it, nobody else is given it.
    """
    for port in random.SystemRandom().sample(range(*NOT_HANDED_OUT), 100):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"100 ports of {NOT_HANDED_OUT} are taken")


@contextmanager
def running(command: list[str], ready: str, **environ: str) -> Generator[list[str]]:
    """The program while it answers at the URL `ready` (404 is an answer, 503 is not).

    The list has the lines of its stderr after the block.
    """
    lines: list[str] = []
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **environ}
        )
        try:
            _wait_for(process, ready)
            yield lines
        finally:
            process.terminate()
            process.wait(timeout=20)
            said.seek(0)
            lines += said.read().splitlines()


def _wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    end = monotonic() + WITHIN
    while not _answers(url):
        assert process.poll() is None, f"{process.args} has ended"
        assert monotonic() < end, f"{process.args} does not answer at {url}"
        sleep(0.01)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except HTTPError as refusal:
        return refusal.code < 500
    except OSError:
        return False
