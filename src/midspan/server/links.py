"""Where an operation's trace is shown: `MIDSPAN_TRACE_URL`, filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from midspan.core.operation import Operation
    from midspan.server.answers import Row


class Traced(Protocol):
    """An operation, or a row of one read back."""

    @property
    def trace_id(self) -> str | None:
        """Hex, 32 digits; None without a span."""
        ...

    @property
    def span_id(self) -> str | None:
        """Hex, 16 digits; None without a span."""
        ...


def trace_url(template: str | None, operation: Traced) -> str | None:
    """The address with `{trace_id}` and `{span_id}` filled in; None without a template or a trace.

    Other braces stay: some tools' addresses hold JSON.
    """
    if template is None or operation.trace_id is None:
        return None
    return template.replace("{trace_id}", operation.trace_id).replace("{span_id}", operation.span_id or "")


def linked(row: Row, template: str | None) -> Row:
    """As `row`, with the field `trace_url`: null where there is no trace, or no template."""

    def linked_row(operation: Operation) -> dict[str, Any]:
        return {**row(operation), "trace_url": trace_url(template, operation)}

    return linked_row
