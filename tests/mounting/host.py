"""What every host application of these tests has beside midspan: what it can be asked about itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn.server

LOGGERS = ("", "asyncio", "django", "fastapi", "granian", "uvicorn", "uvicorn.access", "uvicorn.error")
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM)
LIFE = Path(os.environ["HOST_LIFE"])


class HostError(Exception):
    """What the host raises, and handles by itself."""


def look() -> dict[str, str]:
    """Everything of a process that a guest could change for all, by name."""
    found = {f"signal {number.name}": repr(signal.getsignal(number)) for number in SIGNALS}
    found |= {f"logger {name}": _logger(logging.getLogger(name)) for name in LOGGERS}
    found |= {f"sys.{name}": repr(getattr(sys, name)) for name in ("excepthook", "unraisablehook", "stdout", "stderr")}
    found["threading.excepthook"] = repr(threading.excepthook)
    found["uvicorn"] = repr(uvicorn.server.Server.handle_exit)
    try:
        found["loop"] = repr(asyncio.get_running_loop().get_exception_handler())
    except RuntimeError:
        found["loop"] = "not running"
    return found


def _logger(logger: logging.Logger) -> str:
    return f"{logger.level} {logger.handlers} {logger.filters} {logger.propagate} {logger.disabled}"


class State:
    """How the process looked before midspan came and at its start, and how it looks now."""

    def __init__(self) -> None:
        self.before = look()
        self.mounted: dict[str, str] = {}
        self.started: dict[str, str] = {}
        self.guest: Any = None

    def mount(self) -> Any:
        """The guest."""
        import midspan

        self.guest = midspan.asgi()
        self.mounted = look()
        return self.guest

    def tell(self) -> dict[str, Any]:
        """All of it, and how many live readers the guest has."""
        seen = {"before": self.before, "mounted": self.mounted, "started": self.started, "now": look()}
        return {**seen, "readers": self.guest.state.hub.reader_count}

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncGenerator[None]:
        """The host's own: it starts an operation, and writes down that it was begun and ended."""
        import midspan

        midspan.ProgressTracker("a", name="of the host").start()
        self.started = look()
        _write("begun")
        yield
        _write("ended")


def _write(word: str) -> None:
    with LIFE.open("a") as file:
        file.write(f"{word}\n")
