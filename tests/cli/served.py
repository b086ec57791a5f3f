"""A real server over a registry of the test's own, that can go and come back at its address."""

from __future__ import annotations

from typing import Any

from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.tracker import ProgressRegistry


def no_metrics(_: str) -> tuple[bytes, str]:
    return b"", "text/plain"


class Served:
    """`registry`, served at `url`."""

    def __init__(self, **options: Any) -> None:
        self.registry = ProgressRegistry()
        self._options = options
        self._server = self._start(0)
        self.url = self._server.url

    def _start(self, port: int) -> EmbeddedServer:
        made = {"metrics": no_metrics, **self._options}
        server = EmbeddedServer(lambda: create_app(self.registry, **made), port=port)
        server.start()
        return server

    def stop(self) -> None:
        """Away, as when the application ends."""
        self._server.stop()

    def again(self) -> None:
        """Another application at the same address."""
        self.registry = ProgressRegistry()
        self._server = self._start(self._server.address.port)
        assert self._server.url == self.url
