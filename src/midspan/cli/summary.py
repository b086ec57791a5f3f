"""What became of the operations of a command, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from midspan.cli import figures
from midspan.cli.board import Forgotten
from midspan.cli.lines import error_text
from midspan.cli.row import ENDED, Row
from midspan.server.links import trace_url

_BADLY = ("failed", "lost")
MAX_FAILURES = 50


def summary(
    rows: Collection[Row], trace_template: str | None = None, forgotten: Forgotten | None = None
) -> Iterator[str]:
    """Yields lines: counts by status, the slowest, and up to 50 that failed, with error and address of the trace."""
    forgotten = forgotten or Forgotten()
    counts = forgotten.counts + Counter(row.status for row in rows)
    if not counts:
        yield "no operations were seen"
        return
    yield f"{plural(counts.total())}: {_told_counts(counts)}"
    candidates = [*rows] if forgotten.slowest is None else [forgotten.slowest, *rows]
    yield f"slowest: {_told(max(candidates, key=lambda row: row.elapsed_seconds))}"
    failures = [row for row in rows if row.status in _BADLY][:MAX_FAILURES]
    for row in failures:
        yield from _told_failure(row, trace_template)
    more = sum(counts[status] for status in _BADLY) - len(failures)
    if more:
        yield f"and {more} more that failed or were lost"


def _told_failure(row: Row, trace_template: str | None) -> Iterator[str]:
    yield f"{row.status}: {row.title} after {figures.duration(row.elapsed_seconds)}: {error_text(row)}"
    url = trace_url(trace_template, row)
    if url is not None:
        yield f"  trace: {url}"


def plural(count: int) -> str:
    """`1 operation`, `2 operations`."""
    return "1 operation" if count == 1 else f"{count} operations"


def _told_counts(counts: Counter[str]) -> str:
    order = [*ENDED, *sorted(set(counts) - set(ENDED))]
    return ", ".join(f"{counts[status]} {status}" for status in order if counts[status])


def _told(row: Row) -> str:
    details = ", ".join(part for part in (figures.tokens(row), figures.rate(row)) if part)
    text = f"{row.title} {figures.duration(row.elapsed_seconds)}, {row.status}"
    return f"{text} ({details})" if details else text
