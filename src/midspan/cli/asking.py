"""Single requests of `midspan top`, each in a thread, so that a slow server never holds the keys up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from midspan.cli.choosing import Ask
from midspan.cli.following import reason
from midspan.client.native import Client

MAX_WAITING = 4


class Told(NamedTuple):
    """What became of a request: the whole operation for `show`, or a `note` for the person who has asked."""

    ask: Ask
    operation: dict[str, Any] | None
    note: str


class Asking:
    """`told` is called, in another thread, when an answer is there to be taken. At most 4 requests wait at a time."""

    def __init__(self, client: Client, told: Callable[[], object]) -> None:
        self._client = client
        self._told = told
        self._answers = queue.SimpleQueue[Told]()
        self._waiting = 0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come, or to be taken."""
        return self._waiting > 0

    def ask(self, ask: Ask) -> None:
        """Send it. A request too many is left out: a person can ask again."""
        if self._waiting < MAX_WAITING:
            self._waiting += 1
            threading.Thread(target=self._send, args=(ask,), name="midspan-top-asking", daemon=True).start()

    def answers(self) -> Iterator[Told]:
        """What has come since the last look."""
        while not self._answers.empty():
            self._waiting -= 1
            yield self._answers.get()

    def _send(self, ask: Ask) -> None:
        try:
            told = self._answer(ask)
        except (OSError, RuntimeError, ValueError) as error:
            told = Told(ask, None, f"not done: {reason(error)}")
        self._answers.put(told)
        self._told()

    def _answer(self, ask: Ask) -> Told:
        if ask.what == "show":
            return Told(ask, self._client.operation(ask.operation_id), "")
        self._client.cancel(ask.operation_id, "cancelled from midspan top")
        return Told(ask, None, "asked to cancel; whether it stops is seen in its status")
