"""Query parameters, read strictly: a typing error must not silently list everything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import QueryParams

from midspan.core.bounds import MAX_COUNT
from midspan.core.selection import Position, Selection
from midspan.server.paging import read_cursor
from midspan.server.parameters import (
    DEFAULT_LIMIT,
    DURATION,
    DURATION_PATTERN,
    LISTING,
    MAX_LIMIT,
    STATUSES,
    TIME,
    Parameter,
)
from midspan.server.problem import Problem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(DURATION_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list request asks for."""

    wanted: Selection
    limit: int
    after: Position | None

    @classmethod
    def of(cls, parameters: QueryParams) -> Listing:
        """Read a list request's parameters. Raises Problem (400) for any that is unknown or has a wrong value."""
        allow_only(parameters, LISTING)
        cursor = single(parameters, "cursor")
        return cls(
            selection(parameters),
            whole(parameters, "limit", 1, MAX_LIMIT) or DEFAULT_LIMIT,
            None if cursor is None else read_cursor(cursor),
        )


def selection(parameters: QueryParams) -> Selection:
    """What the filters of a request choose. Raises Problem (400) for a wrong value; other parameters are ignored."""
    statuses = several(parameters, "status")
    for status in statuses or ():
        if status not in STATUSES:
            raise bad_parameter("status", f"{status!r} is not a status", STATUSES)
    return Selection(
        ids=several(parameters, "ids"),
        statuses=statuses,
        types=several(parameters, "type"),
        names=several(parameters, "name"),
        providers=several(parameters, "provider"),
        models=several(parameters, "model"),
        parent=single(parameters, "parent"),
        root=single(parameters, "root"),
        owner=single(parameters, "owner"),
        text=single(parameters, "q"),
        updated_since=moment(parameters, "updated_since"),
    )


def allow_only(parameters: QueryParams, accepted: Iterable[Parameter] = ()) -> None:
    """Raises Problem (400) for a parameter that is not one of `accepted`."""
    known = tuple(parameter.name for parameter in accepted)
    for name in parameters:
        if name not in known:
            raise bad_parameter(name, f"{name!r} is not a query parameter of this path", known)


def bad_parameter(name: str, what: str, accepted: Iterable[str]) -> Problem:
    """The problem (400) with the query parameter `name`, and what is accepted instead."""
    choices = list(accepted)
    detail = f"{what}; accepted: {', '.join(choices) or 'none'}"
    return Problem(400, "bad-parameter", detail, parameter=name, accepted=choices)


def several(parameters: QueryParams, name: str) -> frozenset[str] | None:
    """The values of a parameter that may be repeated and have commas, or None. Raises Problem (400) for empty ones."""
    values = parameters.getlist(name)
    found = [part.strip() for value in values for part in value.split(",")]
    if not all(found):
        raise bad_parameter(name, f"{name!r} has an empty value", ["one or more, comma-separated"])
    return frozenset(found) or None


def single(parameters: QueryParams, name: str) -> str | None:
    """The one value of a parameter, or None. Raises Problem (400) for an empty or a repeated one."""
    values = parameters.getlist(name)
    if len(values) > 1 or values == [""]:
        raise bad_parameter(name, f"{name!r} is empty or given more than once", ["one value"])
    return values[0] if values else None


def one_of(parameters: QueryParams, name: str, choices: tuple[str, ...], default: str) -> str:
    """One of several words. Raises Problem (400) for another one."""
    value = single(parameters, name) or default
    if value not in choices:
        raise bad_parameter(name, f"{value!r} is not accepted here", choices)
    return value


def whole(parameters: QueryParams, name: str, least: int = 0, most: int = MAX_COUNT) -> int | None:
    """A whole number in a range, or None when it is not given. Raises Problem (400)."""
    text = single(parameters, name)
    if text is None:
        return None
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else -1
    if not least <= value <= most:
        raise bad_parameter(name, f"{text!r} is not a {name}", [f"{least} to {most}"])
    return value


def moment(parameters: QueryParams, name: str) -> float | None:
    """A time as Unix seconds, or None when it is not given. Raises Problem (400) for one without a zone too."""
    text = single(parameters, name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.upper())
        if at.tzinfo is not None:
            return at.timestamp()
    except (ValueError, OverflowError):
        pass
    raise bad_parameter(name, f"{text!r} is not a time", [TIME])


def duration(parameters: QueryParams, name: str) -> float | None:
    """A duration in seconds, or None when it is not given. Raises Problem (400) for one that is not positive too."""
    text = single(parameters, name)
    if text is None:
        return None
    if not _DURATION.fullmatch(text):
        raise bad_parameter(name, f"{text!r} is not a duration", [DURATION])
    unit = text[-1] if text[-1] in _UNITS else "s"
    return float(text.removesuffix(unit)) * _UNITS[unit]
