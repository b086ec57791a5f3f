"""Whose operation it is that begins here: what the application says in OpenTelemetry's baggage."""

from __future__ import annotations

from opentelemetry import baggage

from midspan.core.text import MAX_NAME, clean

KEY = "midspan.principal"


def current_principal() -> str | None:
    """The baggage entry `midspan.principal` of the current context, at most 128 characters; None without one."""
    value = baggage.get_baggage(KEY)
    return clean(value, MAX_NAME) if isinstance(value, str) and value else None
