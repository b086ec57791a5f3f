"""`midspan serve`: the API in a process of its own, with the tasks of the modules that it is given."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from types import FrameType

import msgspec

from midspan import settings
from midspan.cli.task_modules import load
from midspan.cli.wrong_use import Parser, WrongUseError
from midspan.runtime import wiring
from midspan.runtime.exporters import configure_exporters
from midspan.server.addresses import is_loopback
from midspan.settings import Address, Settings
from midspan.tracking.tasks import Tasks, get_tasks

DEFAULT = Address("127.0.0.1", 9465)
GRACE_SECONDS = 5.0
_ENDS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status. Raises WrongUseError."""
    options = _parser().parse_args(arguments)
    chosen = _settings(options.host, options.port, options.token)
    for module in options.tasks:
        load(module)
    configure_exporters()
    end = _End()
    try:
        _start(chosen, options.port is not None)
    except WrongUseError:
        end.restore()
        raise
    print(_line(get_tasks()), flush=True)
    end.wait()
    get_tasks().stop("server stopped", within=GRACE_SECONDS)
    wiring.runtime().close()
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="midspan serve",
        usage="midspan serve [options]",
        description="Serves the API; the functions that MODULE registers with @midspan.task may be started through it.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", help="the address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen at, 0 for any free one (9465)")
    parser.add_argument("--token", help="bearer token, better given as MIDSPAN_TOKEN: a command line is seen by all")
    parser.add_argument(
        "--tasks", metavar="MODULE", action="append", default=[], help="a module or file with tasks; may be repeated"
    )
    return parser


def _settings(host: str | None, port: int | None, token: str | None) -> Settings:
    """What the environment says, and the options over it."""
    try:
        known = settings.load()
    except settings.SettingsError as error:
        raise WrongUseError(f"serve: {error}") from None
    if not known.enabled:
        raise WrongUseError("serve: MIDSPAN_ENABLED=false switches midspan off; there would be nothing to serve")
    set_so = known.server or DEFAULT
    address = Address(set_so.host if host is None else host, set_so.port if port is None else port)
    if not 0 <= address.port <= 65535:
        raise WrongUseError(f"serve: --port {address.port} is not a port: accepted is 0 to 65535")
    chosen = msgspec.structs.replace(known, server=address, token=token or known.token)
    if not is_loopback(address.host) and not (chosen.token or chosen.token_file):
        raise WrongUseError(
            f"serve: --host {address.host} is not a loopback address, and needs a token: set MIDSPAN_TOKEN"
        )
    return chosen


def _start(chosen: Settings, is_exact: bool) -> None:
    """Switch everything on. A port that was asked for is taken literally, the default one may be another."""
    address = chosen.server or DEFAULT
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port if is_exact else 0), family=family).close()
        wiring.switch_on(chosen)
    except (OSError, ValueError) as error:
        said = str(getattr(error, "strerror", None) or error).partition(" (while ")[0]
        raise WrongUseError(f"serve: {address} cannot be served: {said}") from None


def _served() -> Address:
    server = wiring.runtime().serving.server
    if server is None:
        raise WrongUseError("serve: another process of this run serves already")
    return Address(*server.address)


def _line(tasks: Tasks) -> str:
    names = ", ".join(task.name for task in tasks.all())
    return f"midspan serves http://{_served()} " + (f"with the tasks {names}" if names else "without tasks")


class _End:
    """The first SIGINT or SIGTERM; the second one is nobody's, and ends the process at once."""

    def __init__(self) -> None:
        # A lock could be held by the very thread that the handler runs in.
        self._reading, self._writing = os.pipe()
        self._before = {number: signal.signal(number, self._tell) for number in _ENDS}

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        self.restore()
        os.write(self._writing, b".")

    def restore(self) -> None:
        """Gives the signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self) -> None:
        """Until a signal has come."""
        os.read(self._reading, 1)
        os.close(self._reading)
        os.close(self._writing)
