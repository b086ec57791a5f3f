"""Stream tickets: for `EventSource` and `WebSocket`, which cannot send a header, a secret that is worth little.

A ticket is for one request, to one path, within 60 seconds, with the access of whoever asked for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.server.answers import json_response
from midspan.server.body import read_body
from midspan.server.tokens import Access, digest_of

SECONDS = 60
MAX_TICKETS = 1000
ACCESS = "midspan.access"
"""Where a request's `Access` stands in its ASGI scope."""


@dataclass(frozen=True, slots=True)
class _Issued:
    access: Access
    path: str
    expires_at: float


class Tickets:
    """The tickets that were not used yet: at most 1,000, the oldest make room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[bytes, _Issued] = {}

    def issue(self, access: Access, path: str) -> str:
        """A new ticket for one request to `path`."""
        secret = secrets.token_urlsafe(24)
        self._issued[digest_of(secret)] = _Issued(access, path, self._clock() + SECONDS)
        while len(self._issued) > MAX_TICKETS:
            del self._issued[next(iter(self._issued))]
        return secret

    def use(self, secret: str, path: str) -> Access | None:
        """The access of a ticket, which this uses up; None for one that is unknown, late, or of another path."""
        ticket = self._issued.pop(digest_of(secret), None)
        if ticket is None or ticket.path != path or self._clock() > ticket.expires_at:
            return None
        return ticket.access


class TicketRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ticket is for: a path below the prefix that midspan is mounted under."""

    path: Annotated[str, Meta(pattern="^/.{0,511}$")]


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket, to be given as `?ticket=`."""

    ticket: str
    path: str
    expires_in_seconds: int


def ticket_routes(tickets: Tickets) -> list[Route]:
    """`POST /v1/tickets` with `{"path": "/v1/stream"}`: a ticket for that path."""

    async def issue(request: Request) -> Response:
        path = (await read_body(request, TicketRequest)).path
        secret = tickets.issue(request.scope.get(ACCESS, Access()), path)
        return json_response(Ticket(ticket=secret, path=path, expires_in_seconds=SECONDS), status=201)

    return [Route("/v1/tickets", issue, methods=["POST"])]
