"""`midspan top`: the operations of a running server, live, in a terminal."""

from __future__ import annotations

import os
import queue
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from midspan.cli.following import Follower, check, reason
from midspan.cli.lines import LinePacer, line
from midspan.cli.row import Row
from midspan.cli.terminal import Terminal
from midspan.cli.wrong_use import Parser, WrongUseError
from midspan.client.native import Client

TIMEOUT_SECONDS = 5.0
UNREACHABLE = 1


def main(arguments: Sequence[str]) -> int:
    """Shows until `q` or SIGINT (0), SIGTERM (143) or SIGHUP (129).

    1 with one line where no server answers, or it refuses. Raises WrongUseError.
    """
    options = _parser().parse_args(arguments)
    client = _client(options.url, options.token or os.environ.get("MIDSPAN_TOKEN"))
    try:
        check(client.api)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"midspan: top: {client.api.base_url}: {reason(error)}", file=sys.stderr)
        return UNREACHABLE
    return _full_screen(client) if _is_terminal() else _lines(client)


def _parser() -> Parser:
    parser = Parser(
        prog="midspan top",
        usage="midspan top [options] [URL]",
        description="Shows what the server at URL sees, live; without a terminal one line a change.",
        epilog="exit status: 0 after q or Ctrl-C, 1 where no server answers or it refuses, 2 for wrong use",
        allow_abbrev=False,
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="(http://127.0.0.1:9465, or where MIDSPAN_SERVER says)")
    parser.add_argument("--token", help="bearer token, better given as MIDSPAN_TOKEN: a command line is seen by all")
    return parser


def _client(url: str | None, token: str | None) -> Client:
    """Raises WrongUseError for what is no URL."""
    whole = f"http://{url}" if url and "://" not in url else url
    try:
        client = Client(whole, token=token, timeout=TIMEOUT_SECONDS)
        if not (token or "").isascii():
            raise ValueError("a token has ASCII characters only")
    except ValueError as error:
        raise WrongUseError(f"top: {error}; such as http://127.0.0.1:9465") from None
    return client


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb")


def _lines(client: Client) -> int:
    """One line a change on stdout, until a signal or until nobody reads them; trouble on stderr."""
    changes = queue.SimpleQueue[Row | None]()
    follower, pacer = Follower(client.api, changes.put), LinePacer()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    follower.start()
    try:
        while True:
            row, now = changes.get(), datetime.now(UTC)
            if row is None:
                _tell(follower.trouble)
            elif pacer.wants(row, now):
                print(line(row, now), flush=True)
    except BrokenPipeError:
        # What is still buffered has nowhere to go, and Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    finally:
        follower.stop()
    return 0


def _tell(trouble: str | None) -> None:
    with suppress(OSError):
        print(f"midspan: {trouble or 'connected'}", file=sys.stderr, flush=True)


def _full_screen(client: Client) -> int:
    try:
        from midspan.cli.full_screen import FullScreen
    except ImportError:
        raise WrongUseError("top: a terminal needs the package rich: pip install 'midspan[run]'") from None
    with Terminal(sys.stdin.fileno()) as terminal:
        return FullScreen(client, terminal).run()
