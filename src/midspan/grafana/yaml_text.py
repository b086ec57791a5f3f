"""Values as YAML text: what Prometheus, Alertmanager and Kubernetes read, without a dependency for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Value = str | int | float | bool | Mapping[str, "Value"] | Sequence["Value"]

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What a YAML parser may take for something else than a text."""


def dump(value: Value) -> str:
    """`value` as a YAML document; keys keep their order, texts of several lines are blocks."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Value) -> Iterator[str]:
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        yield _scalar(value)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _entry(f"{_scalar(key)}:", one)
    else:
        for one in value:
            first, *rest = _lines(one)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _entry(key: str, value: Value) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{key} |-"
        yield from (f"  {line}" for line in value.split("\n"))
    elif isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        yield f"{key} {_scalar(value)}"
    elif not value:
        yield f"{key} {'{}' if isinstance(value, Mapping) else '[]'}"
    else:
        yield key
        yield from (f"  {line}" for line in _lines(value))


def _scalar(value: str | int | float | bool) -> str:
    """JSON is YAML, too: what could be taken for something else is quoted as there."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
