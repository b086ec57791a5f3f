"""What may come in from outside as text: lengths, control characters, ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from midspan.core.operation import RESERVED_IDS

MAX_MESSAGE = 512
MAX_NAME = 128
MAX_STAGE = 64
MAX_METADATA_KEYS = 32
MAX_METADATA_VALUE = 256

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# C0 and C1 controls, line and paragraph separators, and bidirectional overrides: each can forge a log line or a page.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text without control and bidirectional characters, at most `limit` characters long."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    text = _UNSAFE.sub(" ", text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_value(value: object) -> Any:
    """A metadata value that any surface can show: numbers and booleans as they are, the rest as short text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(value if isinstance(value, str) else repr(value), MAX_METADATA_VALUE)


def merge_metadata(into: dict[str, Any], data: Mapping[str, Any]) -> int:
    """Add `data` to metadata; returns how many keys were dropped because there are 32 already."""
    dropped = 0
    for key, value in data.items():
        if key in into or len(into) < MAX_METADATA_KEYS:
            into[clean(key, MAX_NAME)] = clean_value(value)
        else:
            dropped += 1
    return dropped


def check_id(operation_id: object) -> str:
    """The id itself. Raises TypeError for a non-string, ValueError for an id that no surface could address."""
    if not isinstance(operation_id, str):
        raise TypeError(f"operation_id must be a str, not {type(operation_id).__name__}")
    if not _ID.fullmatch(operation_id):
        raise ValueError(
            f"operation_id {operation_id!r} is not valid: 1 to 128 letters, digits, '.', '_', ':' or '-', "
            "beginning with a letter or digit"
        )
    if operation_id in RESERVED_IDS:
        raise ValueError(f"operation_id {operation_id!r} is reserved: it is part of an API path")
    return operation_id
