"""Numbers as a terminal shows them. Unknown is an empty string, never 0."""

from __future__ import annotations

from midspan.cli.row import Row


def duration(seconds: float | None) -> str:
    """Seconds as `0.4 s`, `12 s`, `3 min 05 s` or `2 h 07 min`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def percent(progress: float | None) -> str:
    """A fraction as `42 %`."""
    return "" if progress is None else f"{progress * 100:.0f} %"


def tokens(row: Row) -> str:
    """The output tokens so far; `~` where midspan counted them and the server has not told yet."""
    count = row.tokens
    if count is None or count.output is None:
        return "" if row.chunks is None else _counted(row.chunks, "chunk")
    return ("~" if count.estimated else "") + _counted(count.output, "token")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def rate(row: Row) -> str:
    """Output tokens a second."""
    return "" if row.tokens_per_second is None else f"{row.tokens_per_second:.0f}/s"
