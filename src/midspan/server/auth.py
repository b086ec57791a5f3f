"""Who may ask: requests without the token that they need are turned away."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.server.problem import Problem
from midspan.server.tokens import SCOPES, Tokens

PROBES = frozenset({"/healthz", "/readyz"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class TokenCheck:
    """ASGI middleware: reading needs the scope `read`, anything else `write`; the two probes need no token."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal.response(scope)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> Problem | None:
        if not self.tokens or _route(scope) in PROBES:
            return None
        kind, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        held = self.tokens.scope_of(secret.strip()) if kind.lower() == "bearer" else None
        if held is None:
            return _unauthorized()
        needed = "read" if scope.get("method", "GET") in _READING else "write"
        return None if SCOPES.index(held) >= SCOPES.index(needed) else _forbidden(needed)


def _route(scope: Scope) -> str:
    """The path below the prefix that the app is mounted under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _unauthorized() -> Problem:
    headers = {"www-authenticate": 'Bearer realm="midspan"'}
    detail = "a known token is needed: Authorization: Bearer TOKEN"
    return Problem(401, "token-needed", detail, headers=headers)


def _forbidden(needed: str) -> Problem:
    headers = {"www-authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}
    return Problem(403, "scope-needed", f"the token lacks the scope {needed!r}", headers=headers)
