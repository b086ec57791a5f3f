"""The server inside an application: uvicorn in one daemon thread that the application does not notice."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from midspan.core import failures
from midspan.server.addresses import Address, is_loopback, listen
from midspan.server.tokens import Tokens

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

GRACE_SECONDS = 1


class EmbeddedServer:
    """Serves the ASGI app that `build` makes; `build` is called, and the libraries are imported, in the thread.

    `token` is what the app asks for. Without one, raises ValueError for a host beyond loopback, unless the app is
    `public`: it shows only what needs no token.
    """

    def __init__(
        self,
        build: Callable[[], ASGIApp],
        host: str = "127.0.0.1",
        port: int = 9465,
        *,
        token: str | None = None,
        public: bool = False,
    ) -> None:
        if not (public or is_loopback(host) or Tokens.parse(token or "")):
            raise ValueError(
                f"the server does not bind {host!r}, which is not a loopback address, without a token: "
                "set MIDSPAN_TOKEN, or bind 127.0.0.1"
            )
        self.address = Address(host, port)
        self._build = build
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """Where it listens, once started, as `http://host:port`."""
        return self.address.url

    def start(self) -> Address:
        """Listen, begin to serve, and return where. A taken port is replaced by a free one, with one warning.

        Raises OSError when the host cannot be bound at all, RuntimeError when started before.
        """
        if self._thread is not None:
            raise RuntimeError("an EmbeddedServer is started once")
        listener = self._socket = listen(self.address)
        self.address = self.address._replace(port=listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, args=(listener,), name="midspan-server", daemon=True)
        self._thread.start()
        return self.address

    def _run(self, listener: socket.socket) -> None:
        try:
            from opentelemetry.instrumentation.utils import suppress_instrumentation

            # What is asked of us is not the application's traffic: no spans for it.
            with listener, suppress_instrumentation():
                server = self._server = _uvicorn_server(self._build())
                # `stop` may have come before there was a server to tell it to.
                if self._stopping:
                    server.should_exit = True
                with _silenced("uvicorn.error"), _silenced("uvicorn.access"), _silenced("asyncio", logging.WARNING):
                    server.run(sockets=[listener])
        except Exception:
            failures.report("server")

    def stop(self, timeout: float = 5.0) -> None:
        """Stop serving and wait for the thread, at most `timeout` seconds. Does nothing when not running."""
        self._stopping = True
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's listening socket; the thread is not there."""
        listener, self._socket, self._thread, self._server = self._socket, None, None, None
        if listener is not None:
            listener.close()


def _uvicorn_server(app: ASGIApp) -> uvicorn.Server:
    import uvicorn

    # `access_log=False` would take the handlers from the access log of an app that runs uvicorn too.
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        workers=1,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


@contextmanager
def _silenced(name: str, below: int = logging.CRITICAL + 1) -> Generator[None]:
    """What this thread logs to the logger `name` below a level does not come out; other threads' records do."""
    logger, here = logging.getLogger(name), threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= below

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
