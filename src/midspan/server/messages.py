"""What a client may send over `/v1/ws`: JSON text, one message a frame, told apart by its `type`."""

from __future__ import annotations

import msgspec
from starlette.datastructures import QueryParams

from midspan.core.selection import Selection
from midspan.server.parameters import FILTERS
from midspan.server.problem import Problem
from midspan.server.query import allow_only, selection
from midspan.server.streams import IDS

MAX_MESSAGE_BYTES = 64 * 1024
FIELDS = (IDS, *(each for each in FILTERS if each.name != "updated_since"))


class Authenticate(msgspec.Struct, tag="auth", forbid_unknown_fields=True):
    """The first message, where the handshake has brought no token: one of the two."""

    token: str | None = None
    ticket: str | None = None


class Subscribe(msgspec.Struct, tag="subscribe", forbid_unknown_fields=True):
    """Follow what the filter chooses (the parameters of `/v1/stream`), from a snapshot or from the event id `after`.

    `id` names the subscription in what comes of it; a second one with the same id replaces the first.
    """

    id: str = ""
    filter: dict[str, str | list[str]] = {}
    after: str | None = None

    def selection(self) -> Selection:
        """What the filter chooses. Raises Problem (400) for an unknown field or a wrong value."""
        pairs = [(name, value) for name, given in self.filter.items() for value in _values(given)]
        parameters = QueryParams(pairs)
        allow_only(parameters, FIELDS)
        return selection(parameters)


class Unsubscribe(msgspec.Struct, tag="unsubscribe", forbid_unknown_fields=True):
    """Follow no more."""

    id: str = ""


class CancelOperation(msgspec.Struct, tag="cancel", forbid_unknown_fields=True):
    """Ask an operation to stop; needs the scope `write`."""

    op: str
    reason: str | None = None


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True):
    """Answered with `pong` and the same id."""

    id: str | None = None


ClientMessage = Authenticate | Subscribe | Unsubscribe | CancelOperation | Ping

_messages = msgspec.json.Decoder(ClientMessage)


def _values(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def read_message(text: str) -> ClientMessage:
    """The message. Raises Problem (400) for text that is none, naming the field."""
    try:
        return _messages.decode(text)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad-message", str(error) or "the message is nested too deeply") from None
