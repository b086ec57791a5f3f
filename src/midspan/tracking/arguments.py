"""What callers hand in: wrong types raise TypeError and name the argument; everything else is taken."""

from __future__ import annotations

import math
import operator
import os
from datetime import UTC, datetime
from typing import cast

from midspan.core.bounds import MAX_TIME, moment
from midspan.core.text import MAX_NAME, clean

_ids: list[str] = []
# A forked child must not give out what its parent has in store.
os.register_at_fork(after_in_child=_ids.clear)


def new_id() -> str:
    """32 hex characters of randomness, fetched from the system 256 at a time: each request is a system call."""
    try:
        return _ids.pop()
    except IndexError:
        drawn = os.urandom(256 * 16).hex()
        _ids.extend(drawn[start : start + 32] for start in range(32, len(drawn), 32))
        return drawn[:32]


def text(name: str, value: object) -> str:
    """A string, or TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return str.__str__(value)


def word(value: str | None) -> str | None:
    """A short text that any surface can show, or None."""
    return None if value is None else clean(str(value), MAX_NAME)


def whole(name: str, value: object) -> int:
    """An int, or what says it is one (`__index__`); else TypeError."""
    try:
        return operator.index(value)  # pyright: ignore[reportArgumentType] - its TypeError is what we want
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None


def number(name: str, value: object) -> float:
    """A float, an int, or what converts itself (`__float__`); else TypeError. Strings do not count."""
    convert = getattr(value, "__float__", None)
    if convert is None:
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(convert())
    except OverflowError:
        return math.inf if cast("int", value) > 0 else -math.inf


def deadline(value: float | datetime | None, now: float) -> float | None:
    """Seconds from now, or a datetime (naive: local time), as Unix seconds that every surface can show."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        return moment(now + number("deadline", value))
    try:
        return moment(value.astimezone(UTC).timestamp())
    except (OverflowError, ValueError, OSError):  # at the ends of the calendar
        return MAX_TIME if value.year > 1970 else 0.0
