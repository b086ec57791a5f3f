"""Reads what the watched program reports, in a thread of its own, and hands it to whoever shows it."""

from __future__ import annotations

import os
import selectors
import threading
from time import monotonic
from typing import Protocol

from midspan.cli.board import Announcement, Board
from midspan.cli.row import Row

TICK_SECONDS = 0.25


class Screen(Protocol):
    """What shows operations. Called from the reader's thread only, between `open` and `close`."""

    def open(self, board: Board) -> None:
        """Before the first change."""

    def announce(self, announcement: Announcement) -> None:
        """The program's own server listens."""

    def show(self, row: Row) -> None:
        """One operation has changed."""

    def tick(self) -> None:
        """About four times a second, whatever happens."""

    def close(self) -> None:
        """After the last change."""


class Reader(threading.Thread):
    """Reads lines from `descriptor` until its end, or until `finish` is called and nothing is left to read.

    A process that the program leaves behind holds the pipe open, so the end of the program has to be told.
    """

    def __init__(self, descriptor: int, board: Board, screen: Screen) -> None:
        super().__init__(name="midspan-feed-reader", daemon=True)
        self._descriptor = descriptor
        self._board = board
        self._screen = screen
        self._half = b""
        self._ticked_at = 0.0
        self._finishing = threading.Event()

    def run(self) -> None:
        """Reads, and keeps the screen moving, to the end of the feed."""
        self._screen.open(self._board)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._descriptor, selectors.EVENT_READ)
                while self._step(selector):
                    self._tick()
            for row in self._board.close():
                self._screen.show(row)
        finally:
            self._screen.close()
            os.close(self._descriptor)

    def finish(self) -> None:
        """The program has ended: what it wrote is still read. Waits until it is shown."""
        self._finishing.set()
        self.join()

    def _step(self, selector: selectors.BaseSelector) -> bool:
        finishing = self._finishing.is_set()
        if not selector.select(0 if finishing else TICK_SECONDS):
            return not finishing
        data = os.read(self._descriptor, 1 << 16)
        *lines, self._half = (self._half + data).split(b"\n")
        for line in lines:
            self._take(line)
        return bool(data)

    def _tick(self) -> None:
        """Changes may come faster than a screen is worth drawing."""
        now = monotonic()
        if now - self._ticked_at >= TICK_SECONDS:
            self._ticked_at = now
            self._screen.tick()

    def _take(self, line: bytes) -> None:
        said = self._board.apply(line)
        if isinstance(said, Announcement):
            self._screen.announce(said)
        elif said is not None:
            self._screen.show(said)
