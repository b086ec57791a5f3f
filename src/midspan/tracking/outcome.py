"""How something ended, read from the exception that left it (or from none)."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import NamedTuple

import msgspec

from midspan.core.operation import ErrorInfo, Status
from midspan.core.text import MAX_NAME, clean, described

MAX_RESULT_BYTES = 64 * 1024
_CANCELLATIONS = (asyncio.CancelledError, concurrent.futures.CancelledError)


class Outcome(NamedTuple):
    """A terminal status with its reason and error."""

    status: Status
    reason: str | None = None
    error: ErrorInfo | None = None


def outcome_of(error: BaseException | None) -> Outcome:
    """No exception completes, an Exception fails, and anything else (cancellation, interrupt, exit) cancels."""
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
    return Outcome(Status.FAILED, None, error_info(error))


def error_info(error: BaseException | str) -> ErrorInfo:
    """`error.type` as the conventions want it (module and qualified name, builtins bare), and the first line."""
    if not isinstance(error, BaseException):
        return ErrorInfo(type="error", message=clean(described(error)))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    lines = _printed(error).splitlines()
    return ErrorInfo(type=clean(name, MAX_NAME), message=clean(lines[0]) if lines else None)


def kept_result(result: object) -> object:
    """The result as plain JSON values, or its shortened repr when it is no JSON or larger than 64 KiB."""
    try:
        encoded = msgspec.json.encode(result)
        plain = msgspec.json.decode(encoded) if len(encoded) <= MAX_RESULT_BYTES else None
        # Kept as msgpack, which has no numbers of more than 64 bits.
        msgspec.msgpack.encode(plain)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return clean(described(result))
    return clean(described(result)) if plain is None else plain


def _printed(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the application's own
        return ""
