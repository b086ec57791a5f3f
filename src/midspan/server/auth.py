"""Who may ask: requests without the token that they need are turned away, the others carry their `Access`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from midspan.server.page_routes import is_page
from midspan.server.problem import Problem, route_of
from midspan.server.tickets import ACCESS, Tickets
from midspan.server.tokens import Access, Tokens

PROBES = frozenset({"/healthz", "/readyz"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = frozenset({"/v1/tickets", "/v1/session", "/mcp", "/mcp/"})
"""Changes nothing, or asks for more itself."""
LATE = frozenset({"/v1/ws"})
"""WebSockets that ask for the token in the first message, where a handshake has brought none."""
COOKIE = "midspan_token"
CSRF_HEADER = "x-midspan-csrf"
SECRETS = ("token", "ticket")
WRONG = {
    "bearer": "the token is not known here",
    "cookie": f"the token in the cookie {COOKIE} is not known here any more: POST /v1/session sets a new one",
    "token": "the token in the query is not known here",
    "ticket": "the ticket is unknown here, was used, is over 60 seconds old, or is for another path: POST /v1/tickets",
}
"""What is wrong with a credential that gives no access, by how it came."""
MAX_FAILURES = 30
FAILURE_SECONDS = 60.0
MAX_ADDRESSES = 1024


def access_of(scope: Scope) -> Access:
    """What the request of this ASGI scope may see and do: everything where no tokens are in use."""
    return scope.get(ACCESS) or Access()


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret, and how it came: `bearer` (header or subprotocol), `cookie`, `token` or `ticket` (query)."""

    secret: str
    carrier: str


class Failures:
    """Wrong tokens per client address: after 30 in a minute no more is looked at from there until it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def note(self, address: str) -> None:
        """A wrong token came from this address."""
        now = self._clock()
        begun, count = self._seen.pop(address, (now, 0))
        self._seen[address] = (now, 1) if now - begun > FAILURE_SECONDS else (begun, count + 1)
        while len(self._seen) > MAX_ADDRESSES:
            del self._seen[next(iter(self._seen))]

    def wait(self, address: str) -> int:
        """Whole seconds until the address is listened to again; 0: it is."""
        begun, count = self._seen.get(address, (0.0, 0))
        left = begun + FAILURE_SECONDS - self._clock()
        return int(left) + 1 if count >= MAX_FAILURES and left > 0 else 0


class Gate:
    """Judges credentials. `tokens` may be empty: then everybody may do everything."""

    def __init__(self, tokens: Tokens, tickets: Tickets, failures: Failures | None = None) -> None:
        self.tokens = tokens
        self._tickets = tickets
        self._failures = failures or Failures()

    def admit(self, credential: Credential, scope: Scope) -> Access:
        """What the credential gives access to. Raises Problem: 401 for a wrong one, 429 after too many of them."""
        address = client_address(scope)
        wait = self._failures.wait(address)
        if wait:
            raise _too_many_failures(wait)
        access = self._access(credential, route_of(scope))
        if access is None:
            self._failures.note(address)
            raise unauthorized(WRONG[credential.carrier])
        return access

    def _access(self, credential: Credential, route: str) -> Access | None:
        if credential.carrier == "ticket":
            return self._tickets.use(credential.secret, route)
        return self.tokens.access_of(credential.secret)


class TokenCheck:
    """ASGI middleware: reading needs the scope `read`, anything else `write`; the two probes and the page's
    own files need no token.

    A token comes as `Authorization: Bearer`, as the cookie of `/v1/session`, as the WebSocket subprotocol
    `bearer.TOKEN`, and for streams and WebSockets as `?token=`, or as `?ticket=`. Secrets are taken out of the query
    before anybody else sees, and logs, it. A change that a cookie allows needs the header `X-Midspan-CSRF` too.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                self._check(scope)
            except Problem as problem:
                await problem.answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        route = route_of(scope)
        credential = _credential(scope, route)
        if not self.gate.tokens or route in PROBES or is_page(route):
            return
        if credential is None:
            if scope["type"] == "websocket" and route in LATE:
                return
            raise unauthorized()
        access = scope[ACCESS] = self.gate.admit(credential, scope)
        _check_access(access, credential, scope, route)


def _check_access(access: Access, credential: Credential, scope: Scope, route: str) -> None:
    """Raises Problem (403) when a known token does not do for this request."""
    is_reading = scope.get("method", "GET") in READING
    needed = "read" if is_reading or route in READING_POSTS else "write"
    if not access.may(needed):
        raise forbidden(needed)
    if route == "/metrics" and not access.sees_all:
        raise forbidden("admin")
    if credential.carrier == "cookie" and not is_reading and CSRF_HEADER not in Headers(scope=scope):
        raise Problem(403, "csrf-header-needed", "with a cookie, a change needs the header X-Midspan-CSRF: 1")


def client_address(scope: Scope) -> str:
    """The address of the other end, or nothing where there is none to tell."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _credential(scope: Scope, route: str) -> Credential | None:
    headers = Headers(scope=scope)
    in_query = _taken_from_query(scope, route, headers)
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret.strip():
        return Credential(secret.strip(), "bearer")
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith("bearer."):
            return Credential(protocol.removeprefix("bearer."), "bearer")
    return in_query or _cookie(headers)


def _cookie(headers: Headers) -> Credential | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return Credential(found.value, "cookie") if found is not None else None


def _taken_from_query(scope: Scope, route: str, headers: Headers) -> Credential | None:
    """The token or ticket of a stream's query, which has none of them any more then."""
    query: bytes = scope.get("query_string", b"")
    if not any(name.encode() in query for name in SECRETS) or not _is_stream(scope, route, headers):
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] not in SECRETS], encoding="latin-1").encode()
    found = [Credential(value, name) for name, value in pairs if name in SECRETS and value]
    return found[0] if found else None


def _is_stream(scope: Scope, route: str, headers: Headers) -> bool:
    """True for what `EventSource` and `WebSocket` ask for: they cannot send a header (ruling C12)."""
    if scope["type"] == "websocket":
        return True
    asks = "text/event-stream" in headers.get("accept", "") or route.endswith("/stream") or "/sse/" in route
    return asks and scope["method"] in READING


def unauthorized(wrong: str | None = None) -> Problem:
    """The problem (401) of a request without a token, or with a `wrong` one."""
    error = "" if wrong is None else ', error="invalid_token"'
    detail = wrong or "a token is needed: Authorization: Bearer TOKEN; only streams and WebSockets take ?token=TOKEN"
    return Problem(401, "token-needed", detail, headers={"www-authenticate": f'Bearer realm="midspan"{error}'})


def _too_many_failures(wait: int) -> Problem:
    headers = {"retry-after": str(wait)}
    return Problem(429, "too-many-failures", "too many wrong tokens from this address; wait", headers=headers)


def forbidden(needed: str) -> Problem:
    """The problem (403) of a token that lacks a scope."""
    headers = {"www-authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}
    return Problem(403, "scope-needed", f"the token lacks the scope {needed!r}", headers=headers)
