"""Host applications under the servers that people use, each in processes of its own."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.environ import clean_environ
from tests.programs import free_port

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("fastapi", "starlette", "django")
SERVERS = {
    "uvicorn": ["uvicorn", "{app}", "--port", "{port}"],
    "hypercorn": ["hypercorn", "{app}", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "1"],
    "granian": ["granian", "--interface", "asgi", "{app}", "--port", "{port}", "--workers-kill-timeout", "2"],
}
ROOT_PATH = {
    "uvicorn": ("--root-path", ""),
    "hypercorn": ("--root-path", "/proxy"),
    "granian": ("--url-path-prefix", "/proxy"),
}
"""The option of each server, and what the proxy in front leaves on: uvicorn's takes the prefix away."""


@dataclass
class Host:
    """A host application that was started."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path
    prefix: str = ""

    @property
    def midspan(self) -> str:
        """Where midspan is mounted."""
        return f"{self.url}{self.prefix}/midspan"

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text()

    @property
    def life(self) -> list[str]:
        """What its own lifespan has written down."""
        return (self.folder / "life").read_text().split()

    def wait(self, within: float = 30.0) -> None:
        """Until it answers."""
        end = monotonic() + within
        while not answers(f"{self.midspan}/healthz"):
            assert self.process.poll() is None and monotonic() < end, self.said
            sleep(0.05)

    def stop(self) -> int:
        """End it; its exit status."""
        self.process.terminate()
        return self.process.wait(20)


def answers(url: str) -> bool:
    """Whether there is a good answer."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def start(server: str, framework: str, folder: Path, *more: str, **environ: str) -> Host:
    """The host application of `framework` under `server`, which gets the words `more` as well."""
    folder.mkdir()
    port = free_port()
    app = f"tests.mounting.{framework}_host:app"
    words = [word.format(app=app, port=port) for word in SERVERS[server]]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words, *more],
            cwd=ROOT,
            env=clean_environ(HOST_LIFE=str(folder / "life"), **environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Host(process, f"http://127.0.0.1:{port}", folder)
