"""The ranges that numbers from outside are held in: every surface can show them, and sums of them stay finite."""

from __future__ import annotations

from typing import Final

MAX_COUNT: Final = 2**53
"""The largest whole number that JSON means the same to everybody."""
MAX_AMOUNT: Final = 1e15
MAX_TIME: Final = 253_402_300_799.0
"""Unix seconds of the last second that RFC 3339 can write."""


def whole_count(value: int) -> int:
    """The nearest count, from 0 to 2**53."""
    return 0 if value < 0 else min(value, MAX_COUNT)


def amount(value: float | None) -> float | None:
    """The value from 0 to 1e15, or None, which is "unknown", for any other one."""
    return value if value is not None and 0.0 <= value <= MAX_AMOUNT else None


def moment(at: float) -> float | None:
    """The nearest time that can be written, in Unix seconds; None for NaN."""
    return None if at != at else min(max(at, 0.0), MAX_TIME)
