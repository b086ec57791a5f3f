"""What became of the operations of a command, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from midspan.cli import figures
from midspan.cli.lines import error_text
from midspan.cli.row import ENDED, Row
from midspan.server.links import trace_url


def summary(rows: Collection[Row], trace_template: str | None = None) -> Iterator[str]:
    """Yields lines: counts by status, the slowest, and each that failed with its error, and where its trace is."""
    if not rows:
        yield "no operations were seen"
        return
    yield f"{plural(len(rows))}: {_counts(rows)}"
    slowest = max(rows, key=lambda row: row.elapsed_seconds)
    yield f"slowest: {_told(slowest)}"
    for row in rows:
        if row.status in ("failed", "lost"):
            yield f"{row.status}: {row.title} after {figures.duration(row.elapsed_seconds)}: {error_text(row)}"
            url = trace_url(trace_template, row)
            if url is not None:
                yield f"  trace: {url}"


def plural(count: int) -> str:
    """`1 operation`, `2 operations`."""
    return "1 operation" if count == 1 else f"{count} operations"


def _counts(rows: Collection[Row]) -> str:
    counted = Counter(row.status for row in rows)
    order = [*ENDED, *sorted(set(counted) - set(ENDED))]
    return ", ".join(f"{counted[status]} {status}" for status in order if counted[status])


def _told(row: Row) -> str:
    details = ", ".join(part for part in (figures.tokens(row), figures.rate(row)) if part)
    text = f"{row.title} {figures.duration(row.elapsed_seconds)}, {row.status}"
    return f"{text} ({details})" if details else text
