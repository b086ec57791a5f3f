"""JSON bodies of requests, checked against the type that a route declares."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec
from starlette.requests import Request

from midspan.core.bounds import MAX_COUNT
from midspan.server.problem import Problem

T = TypeVar("T")

_AT = re.compile(r" - at `\$?(?:\.|key in )?(?P<field>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")


async def read_body(request: Request, wanted: type[T], *, optional: bool = False) -> T:
    """The body as `wanted`; nothing at all is read as `{}` where it is `optional`.

    Raises Problem: 415 for another content type, 400 for no JSON, 422 for JSON that is not `wanted`, naming the field.
    """
    raw = await request.body()
    if not raw and optional:
        raw = b"{}"
    else:
        _check_type(request)
    try:
        return _decoded(raw, wanted)
    except msgspec.ValidationError as error:
        raise invalid(_field(str(error)), _AT.sub("", str(error))) from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, "malformed-json", f"the body is no JSON: {error if raw else 'it is empty'}") from None


def _decoded(raw: bytes, wanted: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=wanted)
    except msgspec.ValidationError as error:
        # To JSON, and to who writes it from a language with one type of numbers, 5.0 is a whole number.
        return msgspec.convert(_whole(_plain(raw, error)), wanted)


def _plain(raw: bytes, error: msgspec.ValidationError) -> Any:
    """As plain values. Raises `error`, which says where it is, for a number that is too large for them."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        raise error from None


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_COUNT:
        return int(value)
    return value


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        detail = f"the body must be application/json, not {kind or 'of an unknown type'!r}"
        raise Problem(415, "json-needed", detail, headers={"accept": "application/json"})


def invalid(field: str, what: str) -> Problem:
    """The problem (422) with one field of a body."""
    where = f"{field}: " if field else ""
    return Problem(422, "invalid-body", f"{where}{what}", errors=[{"field": field, "detail": what}])


def _field(message: str) -> str:
    found = _UNKNOWN.search(message) or _AT.search(message)
    return found["field"] if found else ""
