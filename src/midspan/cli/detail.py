"""One operation on the whole screen: its figures, and what has happened to it so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from midspan.cli import figures
from midspan.cli.lines import error_text
from midspan.cli.row import Row


def detail(row: Row, whole: Mapping[str, Any] | None, now: datetime, height: int) -> Group:
    """At most `height` lines. `whole` is the operation as the API shows it, None until it has come."""
    facts = [(name, said) for name, said in _facts(row, whole or {}, now) if said][: height - 2]
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(no_wrap=True, overflow="ellipsis")
    for name, said in facts:
        drawn.add_row(name, Text(said))
    parts: list[RenderableType] = [Text(row.title, style="bold", no_wrap=True, overflow="ellipsis"), drawn]
    room = height - len(facts) - 2
    if whole is not None and room > 0:
        happened = [Text(line, no_wrap=True, overflow="ellipsis") for line in _history(whole)]
        parts += [Text("history", style="dim"), *happened[-room:]]
    return Group(*parts)


def _facts(row: Row, whole: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    yield "status", f"{row.status} ({row.what})" if row.what != row.status else row.status
    yield "because", row.status_reason or ""
    yield "error", error_text(row) if row.error is not None else ""
    yield "message", row.message or ""
    yield "progress", _progress(row, whole)
    yield "tokens", "  ".join(part for part in (figures.tokens(row), figures.rate(row)) if part)
    yield "elapsed", figures.duration(row.elapsed(now))
    yield "left", "" if row.ended else _left(row, whole.get("estimate"))
    yield "attempt", str(whole["attempt"]) if whole.get("attempt", 1) > 1 else ""
    yield "waits for", whole.get("waiting_for") or ""
    yield "provider", whole.get("provider") or ""
    yield "type", row.operation_type
    yield "id", row.operation_id
    yield "parent", whole.get("parent_id") or ""
    yield "trace", whole.get("trace_url") or row.trace_id or ""
    metadata: Mapping[str, Any] = whole.get("metadata") or {}
    for name, value in metadata.items():
        yield name, str(value)


def _progress(row: Row, whole: Mapping[str, Any]) -> str:
    if row.progress is None:
        return ""
    counted = "" if whole.get("completed") is None else f"{whole['completed']:,.10g}"
    if counted and whole.get("total") is not None:
        counted += f" of {whole['total']:,.10g}"
    unit = whole.get("unit") or ""
    source = whole.get("progress_source") or ""
    said = (figures.percent(row.progress), f"{counted} {unit}".strip() if counted else "", source and f"from {source}")
    return "  ".join(part for part in said if part)


def _left(row: Row, estimate: Mapping[str, Any] | None) -> str:
    left = figures.duration(row.estimated_remaining_seconds)
    if not left or estimate is None:
        return left
    low, high = figures.duration(estimate["low"]), figures.duration(estimate["high"])
    return f"{left}  ({low} to {high}, from {estimate['method']})"


def _history(whole: Mapping[str, Any]) -> Iterator[str]:
    begun = datetime.fromisoformat(whole["created_at"])
    for event in whole.get("history", ()):
        after = (datetime.fromisoformat(event["at"]) - begun).total_seconds()
        said = (event["type"], event["stage"], figures.percent(event["progress"]), event["message"])
        yield f"{figures.duration(max(0.0, after)):>10}  " + "  ".join(part for part in said if part)
