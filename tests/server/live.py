"""Reading event streams as a client does: over HTTP, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2


@dataclass
class Event:
    """One server-sent event, or a block of comments and fields without data."""

    name: str | None = None
    id: str | None = None
    data: str | None = None
    retry: int | None = None
    comments: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        assert self.data is not None
        return json.loads(self.data)


class Events:
    """The events of a response, one by one; iteration ends where the server ends the stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        lines: list[str] = []
        for line in self._lines:
            if line:
                lines.append(line)
            elif lines:
                yield parse(lines)
                lines = []

    def next(self) -> Event:
        """The next event that has data."""
        return next(event for event in self if event.data is not None)

    def until(self, name: str, operation_id: str) -> Event:
        """The next event of this name that tells of this operation; others are passed over."""
        for event in self:
            if event.name == name and event.json.get("operation_id") == operation_id:
                return event
        raise AssertionError(f"the stream ended without {name} of {operation_id}")

    def rest(self) -> list[Event]:
        """What comes until the end of the stream."""
        return [event for event in self if event.data is not None]


def parse(lines: list[str]) -> Event:
    event = Event()
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "":
            event.comments.append(value)
        elif name == "data":
            event.data = value if event.data is None else f"{event.data}\n{value}"
        elif name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        else:
            assert name == "retry", line
            event.retry = int(value)
    return event


@contextmanager
def events(client: httpx2.Client, path: str, **headers: str) -> Iterator[Events]:
    """`with events(client, "/v1/stream") as stream`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with client.stream("GET", path, headers=sent) as response:
        assert response.status_code == 200, response.read()
        yield Events(response)
