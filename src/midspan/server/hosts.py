"""Which `Host` and `Origin` are answered: without this, any web page could read us through DNS rebinding."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.server.addresses import is_loopback
from midspan.server.problem import Problem

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^:/@\[\]\s]+))(?::\d{1,5})?")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def host_name(host: str) -> str | None:
    """The name or address in a `Host` value, lower case, without port and brackets; None for what is no host."""
    found = _HOST.fullmatch(host.strip().lower())
    return None if found is None else found["v6"] or found["name"]


class HostCheck:
    """ASGI middleware: loopback names and `allowed` hosts, on any port, are answered; others get a 421 problem.

    A request that changes something, or opens a WebSocket, gets a 403 problem when its `Origin` is not one of these, or
    when the browser says that another site has made it.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = ()) -> None:
        self.app = app
        self.allowed = frozenset(host_name(host) or host.lower() for host in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refusal.answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.allows(host):
            return _misdirected(host)
        if scope.get("method") in _READING:
            return None
        origin = headers.get("origin")
        if origin is None:
            return _cross_site() if headers.get("sec-fetch-site") == "cross-site" else None
        if self.allows(origin.rpartition("://")[2]):
            return None
        return Problem(403, "foreign-origin", f"neither changes nor WebSockets are taken from the origin {origin!r}")

    def allows(self, host: str) -> bool:
        """Whether a `Host` value, with or without a port, is answered."""
        name = host_name(host)
        return name is not None and (is_loopback(name) or name in self.allowed)


def _misdirected(host: str) -> Problem:
    detail = f"host {host!r} is not served here; MIDSPAN_ALLOWED_HOSTS lists more than the loopback names"
    return Problem(421, "unknown-host", detail)


def _cross_site() -> Problem:
    return Problem(403, "foreign-origin", "changes are not taken from another site")
