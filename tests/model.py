"""A real language model for tests: examples/model_server.py as a child process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.environ import servers_python

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Model:
    """Where the model server listens, and what its model is called."""

    base_url: str
    name: str

    @property
    def environ(self) -> dict[str, str]:
        """What an app needs to find it."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": self.name}


@contextmanager
def running_model(*options: str) -> Generator[Model]:
    """Start the server, wait for its ready line, and end it with its standard input."""
    command = [servers_python(), str(EXAMPLES / "model_server.py"), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        ready = json.loads(process.stdout.readline())
        yield Model(ready["base_url"], ready["model"])
        process.stdin.close()
        process.wait(timeout=30)
