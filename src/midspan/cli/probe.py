"""Asks the server of a watched program, from outside and while its operations run, what it shows."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable

import msgspec

from midspan.cli.board import Board
from midspan.cli.row import Row
from midspan.cli.summary import plural

TIMEOUT_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.05


class Listing(msgspec.Struct, frozen=True):
    """The body of GET /v1/operations."""

    operations: list[Row]


_listings = msgspec.json.Decoder(Listing)


class Probe(threading.Thread):
    """Waits for an operation whose tokens arrive, asks once for its server's pages, and tells what came back."""

    def __init__(self, board: Board, tell: Callable[[str], object]) -> None:
        super().__init__(name="midspan-demo-probe", daemon=True)
        self._board = board
        self._tell = tell
        self._stopping = threading.Event()
        self.answered = False

    def run(self) -> None:
        """Looks until there is something to ask about, or until `finish`."""
        while not self._stopping.wait(LOOK_EVERY_SECONDS):
            if self._board.server is not None and self._streaming():
                self._ask(self._board.server)
                return

    def finish(self) -> None:
        """Stops looking, and waits until the thread has ended."""
        self._stopping.set()
        self.join()

    def _streaming(self) -> bool:
        rows = list(self._board.rows.values())
        return any(row.tokens is not None and not row.ended for row in rows)

    def _ask(self, server: str) -> None:
        try:
            status, body = get(f"{server}/v1/operations")
            rows = _listings.decode(body).operations
            metrics_status, metrics = get(f"{server}/metrics")
        except (OSError, msgspec.MsgspecError) as error:
            self._tell(f"GET {server}/v1/operations or /metrics: {error}")
            return
        self.answered = status == metrics_status == 200
        running = sum(not row.ended for row in rows)
        samples = sum(line.startswith(b"midspan_") for line in metrics.splitlines())
        self._tell(
            f"GET {server}/v1/operations: {status}, {plural(len(rows))}, {running} running; "
            f"GET /metrics: {metrics_status}, {samples} samples"
        )


def get(url: str) -> tuple[int, bytes]:
    """Status and body. Raises OSError if there is no good answer in time."""
    # No proxy: this asks the loopback address, whatever the environment names for others.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
        return answer.status, answer.read()
