"""How something ended, read from the exception that left it (or from none)."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import NamedTuple

import msgspec

from midspan.core.operation import ErrorInfo, Status
from midspan.core.text import clean, described
from midspan.tracking.errors import error_info

MAX_RESULT_BYTES = 64 * 1024
_CANCELLATIONS = (asyncio.CancelledError, concurrent.futures.CancelledError)


class Outcome(NamedTuple):
    """A terminal status with its reason and error."""

    status: Status
    reason: str | None = None
    error: ErrorInfo | None = None


def outcome_of(error: BaseException | None, in_full: bool = False) -> Outcome:
    """No exception completes, an Exception fails, and anything else (cancellation, interrupt, exit) cancels.

    `in_full`: see `error_info`.
    """
    if error is None:
        return Outcome(Status.COMPLETED)
    if isinstance(error, _CANCELLATIONS):
        return Outcome(Status.CANCELLED, "task cancelled")
    if isinstance(error, GeneratorExit):
        return Outcome(Status.CANCELLED, "closed early")
    if isinstance(error, KeyboardInterrupt):
        return Outcome(Status.CANCELLED, "interrupted")
    if not isinstance(error, Exception):
        return Outcome(Status.CANCELLED, type(error).__name__)
    return Outcome(Status.FAILED, None, error_info(error, in_full))


def plain_result(result: object) -> object:
    """The result as plain JSON values; None when it is no JSON or larger than 64 KiB."""
    try:
        encoded = msgspec.json.encode(result)
        plain = msgspec.json.decode(encoded) if len(encoded) <= MAX_RESULT_BYTES else None
        # Kept as msgpack, which has no numbers of more than 64 bits.
        msgspec.msgpack.encode(plain)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return plain


def kept_result(result: object) -> object:
    """The result as plain JSON values, or its shortened repr when it is no JSON or larger than 64 KiB."""
    plain = plain_result(result)
    return clean(described(result)) if plain is None else plain
