"""Reading odd data: what an SDK or a service leaves out, sets to null, or fills with a sentinel of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from midspan_instrumentation.provider import Request, replace

Readers = Mapping[str, tuple[str, Callable[[object], object]]]
"""Parameter of an SDK's method → the span attribute for it, and how its value is read."""


_NO_FIELDS: Mapping[str, Any] = {}


def text(value: object) -> str | None:
    """The value if it is a string."""
    return value if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """The value if it is a whole number."""
    return value if type(value) is int else None


def number(value: object) -> float | None:
    """The value, a double as in the conventions, if it is a number that could be meant."""
    return float(value) if isinstance(value, (int, float)) and -1e9 <= value <= 1e9 else None


def seconds(timeout: object) -> float | None:
    """A timeout is a number, or an object of the HTTP client with one for reading."""
    found = getattr(timeout, "read", timeout)
    return float(found) if isinstance(found, (int, float)) else None


def field(value: object, name: str) -> Any:
    """A field of a mapping or of an object, or None: applications give either."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).get(name)
    return getattr(value, name, None)


def fields_of(value: object) -> Mapping[str, object]:
    """The fields of a mapping or of an object: applications give either."""
    return cast("Mapping[str, object]", value if isinstance(value, Mapping) else getattr(value, "__dict__", {}))


def output_type(form: object) -> str | None:
    """`json` for a schema, which may be a class, and `text`; None where no form of the answer was asked for."""
    kind = "json" if isinstance(form, type) else field(form, "type")
    return ("text" if kind == "text" else "json") if isinstance(kind, str) else None


def items(value: object) -> Sequence[object]:
    """The items of a list or tuple; nothing of anything else, of which a one-shot iterator would be read empty."""
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else ()


def given(names: dict[str, object]) -> dict[str, object]:
    """The attributes that have a value: numbers, texts, and lists of texts."""
    found: dict[str, object] = {}
    for name, value in names.items():
        # A tuple, not a union: this runs for every parameter of every call.
        if value is None:
            continue
        if isinstance(value, (int, float, str)):
            found[name] = value
        elif isinstance(value, list):
            texts = cast("list[object]", value)
            found[name] = tuple(text for text in texts if isinstance(text, str))
    return found


def given_of(asked: Mapping[str, object], attributes: Readers) -> dict[str, object]:
    """The attributes of those parameters of a call that have one: a call gives two or three of a dozen."""
    found: dict[str, object] = {}
    for parameter, value in asked.items():
        if value is not None and parameter in attributes:
            name, read = attributes[parameter]
            known = read(value)
            if known is not None:
                found[name] = known
    return found


def streamed(read: Callable[..., Request]) -> Callable[..., Request]:
    """The reader for a method that always streams, of another one's that never does."""

    def read_streamed(*args: object, **asked: object) -> Request:
        return replace(read(*args, **asked), stream=True)

    return read_streamed


def texts(value: object) -> tuple[str, ...] | None:
    """The texts of a list; one text is a list of one."""
    if isinstance(value, str):
        return (value,)
    return (
        tuple(each for each in cast("list[object]", value) if isinstance(each, str))
        if isinstance(value, list)
        else None
    )


def listed(value: object) -> object:
    """One text is a list of one: these attributes are lists."""
    return [value] if isinstance(value, str) else value


def own(result: object, name: str) -> Any:
    """A field that most results lack: asking a model for it by `getattr` would raise inside."""
    return getattr(result, "__dict__", {}).get(name)


def parsed(result: object) -> object:
    """What a raw response holds, as an object like the SDK's own. Parsing that one with its
    `parse()` would run the application's post-parser."""
    http = getattr(result, "__dict__", _NO_FIELDS).get("http_response")
    if http is None or not http.headers.get("content-type", "").startswith("application/json"):
        return result
    return json.loads(http.content, object_hook=lambda fields: SimpleNamespace(**fields))
