"""Reads a stream of server-sent events line by line while it runs, as the seeds' own clients do."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2


class Followed:
    """What has come so far, in `lines`; `status` is the HTTP one."""

    def __init__(self, client: httpx2.Client, path: str, headers: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.status = 0
        self.over = threading.Event()
        self.begun = threading.Event()
        self._request = client, path, headers
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.begun.wait(10), f"no answer from {path}"

    def _read(self) -> None:
        client, path, headers = self._request
        try:
            with client.stream("GET", path, headers={"accept": "text/event-stream", **headers}) as response:
                self.status = response.status_code
                for line in response.iter_lines():
                    self.lines.append(line)
                    self.begun.set()
        finally:
            self.begun.set()
            self.over.set()

    @property
    def data(self) -> list[Any]:
        """The data lines, decoded."""
        return [json.loads(line.removeprefix("data: ")) for line in self.lines if line.startswith("data: ")]

    @property
    def events(self) -> list[str]:
        """The event lines."""
        return [line.removeprefix("event: ") for line in self.lines if line.startswith("event: ")]


@contextmanager
def following(client: httpx2.Client, path: str, **headers: str) -> Generator[Followed]:
    """Follow `path` with a connection of its own; the block is left after the server has ended the stream."""
    with httpx2.Client(base_url=client.base_url, headers=client.headers, timeout=20, verify=False) as own:
        followed = Followed(own, path, headers)
        yield followed
        assert followed.over.wait(10)
