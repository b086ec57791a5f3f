"""Query parameters, read strictly: a typing error must not silently list everything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from midspan.core.operation import Status
from midspan.server.paging import Position, read_cursor
from midspan.server.problem import Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
STATUSES = tuple(str(status) for status in Status)
LISTING = ("status", "type", "parent", "limit", "cursor")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list request asks for; None: not filtered by that."""

    statuses: tuple[str, ...] | None
    types: tuple[str, ...] | None
    parent: str | None
    limit: int
    after: Position | None

    @classmethod
    def of(cls, parameters: QueryParams) -> Listing:
        """Read a list request's parameters. Raises Problem (400) for any that is unknown or has a wrong value."""
        allow_only(parameters, LISTING)
        statuses = _several(parameters, "status")
        for status in statuses or ():
            if status not in STATUSES:
                raise bad_parameter("status", f"{status!r} is not a status", STATUSES)
        cursor = _single(parameters, "cursor")
        return cls(
            statuses,
            _several(parameters, "type"),
            _single(parameters, "parent"),
            _limit(_single(parameters, "limit")),
            None if cursor is None else read_cursor(cursor),
        )


def allow_only(parameters: QueryParams, accepted: Iterable[str] = ()) -> None:
    """Raises Problem (400) for a parameter that is not one of `accepted`."""
    known = tuple(accepted)
    for name in parameters:
        if name not in known:
            raise bad_parameter(name, f"{name!r} is not a query parameter of this path", known)


def bad_parameter(name: str, what: str, accepted: Iterable[str]) -> Problem:
    """The problem (400) with the query parameter `name`, and what is accepted instead."""
    choices = list(accepted)
    detail = f"{what}; accepted: {', '.join(choices) or 'none'}"
    return Problem(400, "bad-parameter", detail, parameter=name, accepted=choices)


def _several(parameters: QueryParams, name: str) -> tuple[str, ...] | None:
    values = parameters.getlist(name)
    found = tuple(part.strip() for value in values for part in value.split(","))
    if not all(found):
        raise bad_parameter(name, f"{name!r} has an empty value", ["one or more, comma-separated"])
    return found or None


def _single(parameters: QueryParams, name: str) -> str | None:
    values = parameters.getlist(name)
    if len(values) > 1 or values == [""]:
        raise bad_parameter(name, f"{name!r} is empty or given more than once", ["one value"])
    return values[0] if values else None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 1 <= value <= MAX_LIMIT:
        raise bad_parameter("limit", f"{text!r} is not a limit", [f"1 to {MAX_LIMIT}"])
    return value
