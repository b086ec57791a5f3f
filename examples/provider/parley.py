"""A tiny SDK of an LLM service, as somebody else might have written it: it knows nothing of midspan."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    """A whole answer."""

    text: str
    ended: str
    usage: dict[str, int]


@dataclass
class Piece:
    """A part of a streamed answer; the last one says why it has ended, and what it has cost."""

    text: str = ""
    ended: str | None = None
    usage: dict[str, int] | None = None


class Client:
    """Asks the service at `url`."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self.url = url
        self.timeout = timeout

    def say(self, words: str, *, model: str, limit: int | None = None, live: bool = False) -> Answer | Iterator[Piece]:
        """The answer; with `live` its pieces, as they come."""
        asked = {"model": model, "words": words, "limit": limit, "live": live}
        return self._pieces(asked) if live else Answer(**next(self._lines(asked)))

    def _pieces(self, asked: dict[str, Any]) -> Iterator[Piece]:
        for line in self._lines(asked):
            yield Piece(**line)

    def _lines(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        request = urllib.request.Request(f"{self.url}/say", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            yield from map(json.loads, response)
