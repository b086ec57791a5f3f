"""Operations as a file: CSV, JSON or NDJSON, written while it is sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

from midspan.core.wire import encode

Row = dict[str, Any]

BATCH = 100
COLUMNS = (
    "operation_id", "operation_type", "name", "status", "status_reason", "stage", "progress", "percent_complete",
    "step", "total_steps", "completed", "total", "unit", "message", "provider", "model", "tokens_input",
    "tokens_output", "tokens_reasoning", "tokens_cached", "tokens_estimated", "chunks", "bytes", "time_to_first_chunk",
    "tokens_per_second", "attempt", "created_at", "started_at", "updated_at", "ended_at", "deadline_at",
    "elapsed_seconds", "stalled", "error_type", "error_message", "parent_id", "root_id", "trace_id", "span_id",
    "owner_service", "owner_instance", "owner_host", "owner_pid", "metadata", "result",
)  # fmt: skip
_NESTED = ("tokens", "error", "owner")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it."""
    if isinstance(value, dict | list):
        value = encode(cast("object", value)).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _cells(row: Row) -> list[object]:
    flat = dict(row)
    for name in _NESTED:
        parts: Row = flat[name] or {}
        flat.update({f"{name}_{part}": value for part, value in parts.items()})
    return [csv_cell(flat.get(column)) for column in COLUMNS]


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def as_csv(rows: Iterator[Row]) -> Iterator[bytes]:
    """One line of column names, one of each operation (RFC 4180)."""
    yield _csv([COLUMNS])
    for some in _batches(rows):
        yield _csv(map(_cells, some))


def as_ndjson(rows: Iterator[Row]) -> Iterator[bytes]:
    """One JSON object a line."""
    for some in _batches(rows):
        yield b"".join(encode(each) + b"\n" for each in some)


def as_json(rows: Iterator[Row]) -> Iterator[bytes]:
    """One array."""
    before = b"["
    for some in _batches(rows):
        yield before + b",\n".join(encode(each) for each in some)
        before = b",\n"
    yield b"[]" if before == b"[" else b"]"


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """A piece of some rows at a time, because each piece is made in a thread."""
    while some := list(islice(rows, BATCH)):
        yield some


Writer = Callable[[Iterator[Row]], Iterator[bytes]]
FORMATS: dict[str, tuple[str, Writer]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
    "ndjson": ("application/x-ndjson", as_ndjson),
}
"""Format → (content type, what writes it)."""
