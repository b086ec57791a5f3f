"""Between two attempts of a call: the SDK says how long it sleeps, and the operation says so too."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from midspan_instrumentation._call import current_call
from midspan_instrumentation._guard import guarded


def retry_delay(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    """The wrapper for a `RetryDelay`."""
    seconds = wrapped(*args, **kwargs)
    _tell(seconds)
    return seconds


def retry_delay_async(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    """The same for a coroutine function."""
    return _await_delay(cast("Awaitable[object]", wrapped(*args, **kwargs)))


async def _await_delay(awaitable: Awaitable[object]) -> object:
    seconds = await awaitable
    _tell(seconds)
    return seconds


@guarded("retry")
def _tell(seconds: object) -> None:
    call = current_call.get()
    if call is not None and isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        call.tracker.wait_to_retry(seconds, call.last_error)


def seconds_told(headers: Mapping[str, str]) -> float | None:
    """How long the server wants a client to wait, by the headers that SDKs read (RFC 9110, section 10.2.3)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _number(told)
    return _seconds_until(told) if seconds is None and told else seconds


def _number(told: str | None) -> float | None:
    try:
        value = float(told or "")
    except ValueError:
        return None
    return value if 0.0 <= value < float("inf") else None


def _seconds_until(date: str) -> float | None:
    found = email.utils.parsedate_tz(date)
    return None if found is None else max(0.0, email.utils.mktime_tz(found) - time.time())
