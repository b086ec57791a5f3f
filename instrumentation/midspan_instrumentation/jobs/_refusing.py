"""What an SDK's exception says about asking again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from midspan_instrumentation.providers._fields import field

_NOT_FOUND: Final = (404, 410)
_PASSING: Final = (408, 409, 425, 429)
LONGEST_WAIT: Final = 3600.0


def status_of(error: BaseException) -> int | None:
    """The HTTP status of the answer that an SDK has raised this exception for."""
    response = field(error, "response")
    told = (
        *(field(holder, name) for holder in (error, response) for name in ("status_code", "code")),
        field(field(response, "ResponseMetadata"), "HTTPStatusCode"),  # botocore
    )
    return next((status for status in told if type(status) is int), None)


def is_unknown(error: BaseException) -> bool:
    """True for an exception that says: there is no such job."""
    return status_of(error) in _NOT_FOUND


def is_passing(error: BaseException) -> bool:
    """True for one that may be gone the next time: a rate limit, a server in trouble, no connection."""
    status = status_of(error)
    if status is not None and status > 0:
        return status in _PASSING or status >= 500
    names = [kind.__name__ for kind in type(error).__mro__]
    return any("Connect" in name or "Timeout" in name or name == "TransportError" for name in names)


def retry_after(error: BaseException | None) -> float:
    """Seconds that the server wants to be left alone for; 0 if it has not said."""
    response = field(error, "response")
    headers = field(response, "headers") or field(field(response, "ResponseMetadata"), "HTTPHeaders")
    if not isinstance(headers, Mapping):
        return 0.0
    told = cast("Mapping[str, Any]", headers)
    seconds = _number(told.get("retry-after-ms")) / 1000 or _seconds(told.get("retry-after"))
    return min(max(0.0, seconds), LONGEST_WAIT)


def _seconds(told: object) -> float:
    if not isinstance(told, str) or _number(told):
        return _number(told)
    try:
        return parsedate_to_datetime(told).timestamp() - time.time()
    except ValueError:
        return 0.0


def _number(told: object) -> float:
    try:
        return float(cast("str", told))
    except (TypeError, ValueError):
        return 0.0
