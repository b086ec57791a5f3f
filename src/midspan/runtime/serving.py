"""What this process serves: the API, and the metrics on an address of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from midspan.core import failures
from midspan.runtime import process
from midspan.settings import Address, Settings
from midspan.tracking.tracker import ProgressRegistry

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from midspan.server.embedded import EmbeddedServer


class Serving:
    """The servers of this process; which, the `settings` say."""

    def __init__(self, registry: ProgressRegistry, first_operation: process.FirstOperation) -> None:
        self.registry = registry
        self.settings = Settings()
        self.server: EmbeddedServer | None = None
        self.metrics_server: EmbeddedServer | None = None
        self._first_operation = first_operation

    @property
    def url(self) -> str | None:
        """Where the API listens."""
        return None if self.server is None else self.server.url

    @property
    def is_importing(self) -> bool:
        """True while a server's thread still imports what it needs."""
        return any(server.is_importing for server in self._running())

    def start(self) -> None:
        """Serve what the settings ask for, unless another process of the same run serves already.

        An address that is not this machine's is told in one line. Raises ValueError for an unsafe address.
        """
        if self.settings.server is None and self.settings.metrics is None:
            return
        if process.serving_process() is not None:
            self._first_operation.then(_say_who_serves)
            return
        try:
            self._start()
        except OSError as error:
            told = self.settings.server if self.server is None and self.settings.server else self.settings.metrics
            failures.logger.error("midspan: %s cannot be served: %s", told, error.strerror or error)

    def _start(self) -> None:
        if self.server is None:
            self.server = _listen(self.app, self.settings.server, token=self.token())
        if self.metrics_server is None:
            self.metrics_server = _listen(self.metrics_app, self.settings.metrics, public=True)
        process.claim_serving(os.getpid())

    def stop(self) -> None:
        """End the servers."""
        if self._running():
            process.claim_serving(None)
        for server in self._running():
            server.stop()
        self.server = self.metrics_server = None

    def settle(self) -> None:
        """Before a fork: a child could never import what a thread of ours has half imported."""
        for server in self._running():
            server.settle()

    def abandon(self) -> None:
        """In a forked child: the servers are the parent's."""
        for server in self._running():
            server.abandon()
        self.server = self.metrics_server = None

    def _running(self) -> list[EmbeddedServer]:
        return [server for server in (self.server, self.metrics_server) if server is not None]

    def app(self) -> Starlette:
        """The ASGI app over this registry."""
        from midspan.server.app import create_app
        from midspan.tracking.tasks import get_tasks

        return create_app(
            self.registry,
            metrics=self.metrics_page(),
            allowed_hosts=self.allowed_hosts(),
            token=self.token(),
            tasks=get_tasks(),
            trace_url=self.settings.trace_url,
        )

    def metrics_app(self) -> Starlette:
        """`/metrics` and the probes alone, for whoever may reach them."""
        from midspan.server.app import create_metrics_app

        return create_metrics_app(self.metrics_page())

    def allowed_hosts(self) -> tuple[str, ...]:
        """Names that the API answers to beside loopback: those set, and the one that it is bound to."""
        address = self.settings.server
        return self.settings.allowed_hosts if address is None else (*self.settings.allowed_hosts, address.host)

    def metrics_page(self) -> Any:
        """What /metrics shows."""
        from midspan.telemetry.prometheus import MetricsPage

        return MetricsPage(self.registry, live_series=self.settings.live_series)

    def token(self) -> str | None:
        """The bearer token of the API: from the setting, or the file that it names."""
        path = self.settings.token_file
        return path.read_text(encoding="utf-8").strip() if path is not None else self.settings.token


def _listen(build: Callable[[], Starlette], address: Address | None, **options: Any) -> EmbeddedServer | None:
    if address is None:
        return None
    from midspan.server.embedded import EmbeddedServer

    server = EmbeddedServer(build, address.host, address.port, **options)
    server.start()
    return server


def _say_who_serves() -> None:
    failures.logger.warning(
        "midspan: process %s of this run serves the API; operations of process %s are not seen there",
        process.serving_process(),
        os.getpid(),
    )
