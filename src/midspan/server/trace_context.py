"""The trace that a request belongs to: what it starts becomes part of it (W3C Trace Context, in MCP by SEP-414)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context, propagate


@contextmanager
def within_trace(carrier: Mapping[str, Any]) -> Generator[None]:
    """Inside, the current trace is the one that `traceparent` of the carrier (headers, `_meta`) names, if it does."""
    texts = {name: value for name, value in carrier.items() if isinstance(value, str)}
    token = context.attach(propagate.extract(texts))
    try:
        yield
    finally:
        context.detach(token)
