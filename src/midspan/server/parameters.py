"""The parameters that requests may have: what reads them is in `query.py`, what publishes them in `openapi.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from midspan.core.bounds import MAX_COUNT
from midspan.core.operation import Status

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_WAIT_SECONDS = 60
STATUSES = tuple(str(status) for status in Status)
FORMATS = ("csv", "json", "ndjson")
DURATION = "a whole number of seconds, or one with s, m, h or d"
DURATION_PATTERN = r"^[1-9][0-9]{0,8}[smhd]?$"
TIME = "a time with its zone (RFC 3339), such as 2026-11-21T10:00:00Z"

_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_SEQUENCE: Mapping[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_COUNT}
_WORDS: Mapping[str, Any] = {"type": "string", "pattern": r"^\s*[^,\s][^,]*(,\s*[^,\s][^,]*)*$"}
ANY_TEXT: Mapping[str, Any] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, what it means, and its values as a JSON schema. `place` is query, header or path."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)
    place: str = "query"
    several: bool = False


def repeatable(name: str, description: str, schema: Mapping[str, Any] = _WORDS) -> Parameter:
    """A parameter that may be repeated, and may hold several values with commas between them."""
    return Parameter(name, f"{description}; several: repeated, or with commas", schema, several=True)


FILTERS = (
    repeatable("status", "lifecycle status", {"type": "string", "enum": list(STATUSES)}),
    repeatable("type", "operation type"),
    repeatable("provider", "LLM provider"),
    repeatable("model", "requested model"),
    repeatable("name", "name of the operation"),
    Parameter("root", "id of the outermost operation around"),
    Parameter("parent", "id of the operation directly around"),
    Parameter("owner", "service, instance, host or principal of the process that runs it"),
    Parameter("q", "text in the id, type, name, stage, message, provider, model or error, in either case"),
    Parameter("updated_since", TIME, {"type": "string", "format": "date-time"}),
)
PAGE = (
    Parameter(
        "limit",
        "rows on a page",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    Parameter("cursor", "`next_cursor` of the page before", {"type": "string", "format": "cursor"}),
)
LISTING = (*FILTERS, *PAGE)
WAIT = (
    Parameter(
        "wait",
        "seconds to wait for a change, at most",
        {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS},
    ),
    Parameter(
        "after_seq",
        "with `wait`: answer once `sequence` is beyond this; the sequence at the time of asking unless given",
        _SEQUENCE,
    ),
)
AFTER = (Parameter("after", "only events beyond this sequence", _SEQUENCE),)
WINDOW = (
    Parameter("window", f"only what ended within it: {DURATION}", {"type": "string", "pattern": DURATION_PATTERN}),
)
FORCE = (
    Parameter(
        "force", "1: an operation that runs is cancelled and forgotten too", {"type": "string", "enum": ["0", "1"]}
    ),
)
EXPORT = (
    Parameter("format", "how the rows are written", {"type": "string", "enum": list(FORMATS), "default": "csv"}),
    *FILTERS,
)
IF_NONE_MATCH = Parameter("If-None-Match", "a tag: 304 when it is still that of the operation", ANY_TEXT, "header")
IF_MATCH = Parameter("If-Match", "a tag: 409 when the operation has changed since", ANY_TEXT, "header")
ID = Parameter(
    "id",
    "the operation's id",
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
    place="path",
)
PATH_PARAMETERS = {"id": ID}
