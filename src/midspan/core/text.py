"""What may come in from outside as text: lengths, control characters, ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from math import isfinite
from typing import Any, cast

from midspan.core.bounds import MAX_COUNT
from midspan.core.operation import RESERVED_IDS
from midspan.core.secrets import MAX_SECRET, without_secrets

MAX_MESSAGE = 512
MAX_NAME = 128
MAX_STAGE = 64
MAX_METADATA_KEYS = 32
MAX_METADATA_VALUE = 256

# What nearly every answer holds.
_FINISHED = (["stop"], ["completed"], ["tool_calls"], ["length"])

_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"


@cache
def _unsafe() -> re.Pattern[str]:
    # C0 and C1 controls, line and paragraph separators, and bidirectional marks: each can forge a log line or a page.
    # Lone surrogates: they cannot be encoded, and one of them in a label would take the whole page of metrics with it.
    return re.compile("[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """True for text with nothing in it that would have to be taken out; nearly all is."""
    return (
        text.isascii()
        and text.isprintable()
        # To look for one character takes a fraction of looking for three, and most texts have neither.
        and (":" not in text or "://" not in text)
        and ("-" not in text or "sk-" not in text)
        and "earer " not in text
    )


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text without secrets, control and bidirectional characters, at most `limit` characters long."""
    if text.__class__ is not str:
        text = str.__str__(text)
    if len(text) <= limit and is_plain(text):
        return text
    text = _unsafe().sub(" ", without_secrets(text[: limit + MAX_SECRET])[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_value(value: object) -> Any:
    """A metadata value that any surface can show: numbers and booleans as they are, the rest as short text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and isfinite(value):
        return float(value)
    if isinstance(value, int) and -MAX_COUNT <= value <= MAX_COUNT:
        return int(value)
    return clean(described(value), MAX_METADATA_VALUE)


def clean_attributes(attributes: dict[str, object]) -> dict[str, object]:
    """A call's attributes, each text cleaned: a request names what it likes, and so does an answer.

    A number that no exporter can write is left out: it would take the whole batch of spans with it. The caller's own
    dict is changed and returned, because nearly always nothing in it needs to be.
    """
    for name, value in tuple(attributes.items()):
        if type(value) is str:
            if len(value) > MAX_NAME or not is_plain(value):
                attributes[name] = clean(value)
        elif isinstance(value, (list, tuple)):
            if value not in _FINISHED:
                attributes[name] = _clean_each(cast("Sequence[object]", value))
        elif value is None or (isinstance(value, int) and not -MAX_COUNT <= value <= MAX_COUNT):
            del attributes[name]
    return attributes


def _clean_each(values: Sequence[object]) -> tuple[str, ...]:
    return tuple([clean(str(each), MAX_NAME) for each in values[:MAX_METADATA_KEYS]])


def described(value: object) -> str:
    """A string as it is, anything else as its repr, and by its type where it has none."""
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:  # the application's own, or a number of too many digits
        return f"<{type(value).__name__}>"


def clean_metadata(data: Mapping[Any, Any]) -> dict[str, Any]:
    """The first 32 of `data`, keys and values cleaned."""
    return {clean(described(key), MAX_NAME): clean_value(data[key]) for key in islice(data, MAX_METADATA_KEYS)}


def merge_metadata(into: dict[str, Any], data: Mapping[Any, Any]) -> int:
    """Add `data` to metadata; returns how many keys were dropped because there are 32 already."""
    taken = clean_metadata(data)
    return len(data) - len(taken) + merge_clean(into, taken)


def merge_clean(into: dict[str, Any], taken: Mapping[str, Any]) -> int:
    """As `merge_metadata`, for what `clean_metadata` has given."""
    dropped = 0
    for key, value in taken.items():
        if key in into or len(into) < MAX_METADATA_KEYS:
            into[key] = value
        else:
            dropped += 1
    return dropped


def check_id(operation_id: object) -> str:
    """The id itself. Raises TypeError for a non-string, ValueError for an id that no surface could address."""
    if not isinstance(operation_id, str):
        raise TypeError(f"operation_id must be a str, not {type(operation_id).__name__}")
    if not re.fullmatch(_ID, operation_id):
        raise ValueError(
            f"operation_id {operation_id!r} is not valid: 1 to 128 letters, digits, '.', '_', ':' or '-', "
            "beginning with a letter or digit"
        )
    if operation_id in RESERVED_IDS:
        raise ValueError(f"operation_id {operation_id!r} is reserved: it is part of an API path")
    return operation_id
