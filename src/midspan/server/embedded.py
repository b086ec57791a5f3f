"""The server inside an application: uvicorn in one daemon thread that the application does not notice."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from midspan.core import failures
from midspan.server.addresses import Address, is_loopback, listen
from midspan.server.tokens import Tokens

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from starlette.types import ASGIApp

GRACE_SECONDS = 1
SETTLE_SECONDS = 5.0
WEBSOCKET_BYTES = 64 * 1024
_SILENCED = {"uvicorn.error": logging.CRITICAL + 1, "uvicorn.access": logging.CRITICAL + 1, "asyncio": logging.ERROR}


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
        self._app: ASGIApp | None = None
        self._stuck: dict[asyncio.Transport, object] = {}
        self._stopping = False
        self._silence = ExitStack()
        self._imported = threading.Event()

    @property
    def is_importing(self) -> bool:
        """True until the thread has imported what it needs."""
        return self._thread is not None and not self._imported.is_set()

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

            # Where the app has the default disposition, our write to a closed connection would end it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
            # What is asked of us is not the application's traffic: no spans for it.
            with listener, suppress_instrumentation(), self._silence:
                app = self._app = self._build()
                server = self._server = _uvicorn_server(app, self._look_after)
                # `stop` may have come before there was a server to tell it to.
                if self._stopping:
                    server.should_exit = True
                for name, below in _SILENCED.items():
                    self._silence.enter_context(_silenced(name, below))
                server.run(sockets=[listener])
        except Exception:
            failures.report("server")
        finally:
            self._imported.set()

    async def _look_after(self) -> None:
        """Told by uvicorn once it serves: some of its modules are imported as late as that, and anyio's when used.

        Then told every 30 seconds.
        """
        from anyio import lowlevel

        await lowlevel.checkpoint()
        self._imported.set()
        self._drop_stuck()

    def _drop_stuck(self) -> None:
        """Connections on which nothing has happened for 30 seconds that could end them: they would stay for ever."""
        connections = list(self._server.server_state.connections) if self._server is not None else []
        stuck = dict(filter(None, map(_stuck, connections)))
        for transport, request in stuck.items():
            if transport in self._stuck and self._stuck[transport] is request:
                transport.abort()
        self._stuck = stuck

    def settle(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until the thread has imported what it needs, and holds no lock of the import system any more."""
        if self.is_importing and self._thread is not threading.current_thread():
            self._imported.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop serving and wait for the thread, at most `timeout` seconds. Does nothing when not running."""
        self._stopping = True
        self._end_streams()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _end_streams(self) -> None:
        if self._app is not None:
            from midspan.server.app import close_streams

            close_streams(self._app)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's sockets; the thread is not there.

        Only the descriptors are closed: its event loop shares what it waits for with the parent's.
        """
        server, listener = self._server, self._socket
        self._socket = self._thread = self._server = None
        if listener is not None:
            listener.close()
        for connection in list(server.server_state.connections) if server is not None else ():
            _close_only(getattr(connection, "transport", None))
        # A thread to come may get the ident of the one that was silenced.
        self._silence.close()


def _stuck(connection: object) -> tuple[asyncio.Transport, object] | None:
    """A connection that was closed, and whose other end takes nothing; or one that has sent no whole request yet.

    With it the last request that it has sent, if any. uvicorn itself sees to those that wait between two requests.
    """
    transport: asyncio.Transport | None = getattr(connection, "transport", None)
    request: Any = getattr(connection, "cycle", ...)
    if transport is None:
        return None
    is_idle = request is None or getattr(request, "response_complete", False)
    return (transport, request) if is_idle or transport.is_closing() else None


def _close_only(transport: asyncio.Transport | None) -> None:
    wrapped = None if transport is None else transport.get_extra_info("socket")
    # asyncio hands out a wrapper that cannot be closed. Held open here, the connection would outlive the parent.
    connected: object = getattr(wrapped, "_sock", None)
    if isinstance(connected, socket.socket):
        connected.close()


def _uvicorn_server(app: ASGIApp, notify: Callable[[], Awaitable[None]]) -> uvicorn.Server:
    import uvicorn

    # `access_log=False` would take the handlers from the access log of an app that runs uvicorn too.
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws=_websocket_protocol(),
        ws_max_size=WEBSOCKET_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        workers=1,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        callback_notify=notify,
    )
    return uvicorn.Server(config)


def _websocket_protocol() -> Literal["auto", "websockets-sansio", "none"]:
    """Without the `run` extra there is no WebSocket; what it could show, the event streams show too."""
    from uvicorn.config import WS_PROTOCOLS

    if find_spec("websockets") is None:
        return "none"
    return "websockets-sansio" if "websockets-sansio" in WS_PROTOCOLS else "auto"


@contextmanager
def _silenced(name: str, below: int) -> Generator[None]:
    """What this thread logs to the logger `name` below a level does not come out; other threads' records do."""
    logger, here = logging.getLogger(name), threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= below

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
