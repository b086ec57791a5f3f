"""Answers with operations: rows, tags, and when to ask again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from midspan.core.operation import Operation
from midspan.core.wire import encode, to_dict

Row = Callable[[Operation], dict[str, Any]]
"""An operation → its JSON object, as every native route shows it."""

LONGEST_PAUSE = 30
LOOKS_TO_THE_END = 10


def json_response(value: object, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """`value` (plain values, or documents) as JSON."""
    return Response(encode(value), status, {"content-type": "application/json", **(headers or {})})


def row(operation: Operation) -> dict[str, Any]:
    """The operation as every native route shows it."""
    return to_dict(operation)


def operation_response(request: Request, operation: Operation, status: int = 200, *, row: Row = row) -> Response:
    """The operation as `row` shows it, with its tag; or 304 when the request has it already."""
    tag = etag(operation)
    headers = {"etag": tag, **retry_after(operation)}
    if request.method in ("GET", "HEAD") and _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return json_response(row(operation), headers, status)


def retry_after(operation: Operation) -> dict[str, str]:
    """When to ask again, as a header: about ten times until the end, where that is known; nothing after it."""
    if operation.is_terminal:
        return {}
    seconds = (operation.estimated_remaining_seconds or 0.0) / LOOKS_TO_THE_END
    return {"retry-after": str(min(LONGEST_PAUSE, max(1, math.ceil(seconds))))}


def etag(operation: Operation) -> str:
    """`W/"epoch-sequence"`, and more where time or children change what is shown without a new sequence.

    Weak: the elapsed and the remaining time do not change it.
    """
    derived = "-stalled" if operation.stalled else ""
    if operation.progress_source == "children":
        derived += f"-{operation.progress:.4f}"
    return f'W/"{revision(operation)}{derived}"'


def revision(operation: Operation) -> str:
    """`epoch-sequence`: which change of which operation this is."""
    return f"{operation.epoch}-{operation.sequence}"


def _matches(header: str, tag: str) -> bool:
    """If-None-Match as RFC 9110 compares it: weakly, against any of a list, or `*`."""
    wanted = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag.removeprefix("W/") in wanted or "*" in wanted
