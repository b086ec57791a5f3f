"""`midspan top` on a terminal: the loop between keys, changes and the screen."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from rich.console import Console
from rich.layout import Layout
from rich.live import Live

from midspan.cli.asking import Asking
from midspan.cli.choosing import Ask, Choosing
from midspan.cli.following import Follower
from midspan.cli.terminal import Terminal
from midspan.cli.top_view import Shown, screen
from midspan.client.native import Client

TICK_SECONDS = 0.25
DETAIL_EVERY_SECONDS = 1.0


class FullScreen:
    """Shows what the client's server sees on a terminal that was taken over."""

    def __init__(self, client: Client, terminal: Terminal) -> None:
        self._where = client.api.base_url
        self._terminal = terminal
        self._console = Console()
        self._choosing = Choosing()
        self._follower = Follower(client.api, lambda _: None)
        self._asking = Asking(client, terminal.wake)
        self._whole: dict[str, Any] | None = None
        self._asked_at = 0.0

    def run(self) -> int:
        """Until the person, or a signal, wants to leave; returns the exit status."""
        self._follower.start()
        live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        try:
            with live:
                while not (self._terminal.ended or self._choosing.leaving):
                    live.update(self._drawn(), refresh=True)
                    self._step()
        except OSError:
            # Drawing on a terminal that was closed.
            if not self._terminal.ended:
                raise
        finally:
            self._follower.stop()
        return 0 if self._terminal.ended in (0, signal.SIGINT) else 128 + self._terminal.ended

    def _step(self) -> None:
        for key in self._terminal.wait(TICK_SECONDS):
            self._ask(self._choosing.press(key))
        for told in self._asking.answers():
            if told.operation is not None and told.ask.operation_id == self._choosing.selected:
                self._whole = told.operation
            self._choosing.note = told.note or self._choosing.note
        self._look_again()

    def _ask(self, ask: Ask | None) -> None:
        if ask is None:
            return
        if ask.what == "show":
            self._whole = None
            self._asked_at = monotonic()
        self._asking.ask(ask)

    def _look_again(self) -> None:
        """The one operation that is looked at moves, too."""
        choosing, due = self._choosing, monotonic() - self._asked_at >= DETAIL_EVERY_SECONDS
        if choosing.mode == "detail" and choosing.selected and due and not self._asking.is_busy:
            self._asked_at = monotonic()
            self._asking.ask(Ask("show", choosing.selected))

    def _drawn(self) -> Layout:
        rows = self._follower.rows
        self._choosing.show(rows)
        follower = self._follower
        shown = Shown(self._where, rows, self._choosing, self._whole, follower.trouble, follower.forgotten)
        return screen(shown, datetime.now(UTC), self._console)
