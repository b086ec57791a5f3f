"""Frameworks whose own steps are spans, by an instrumentation of theirs: midspan sees those too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

import midspan
from midspan.core.operation import Operation
from midspan.testing import Captured, capture


@contextmanager
def traced(instrumentor: Any) -> Iterator[Captured]:
    """midspan and the framework's instrumentation are on; what midspan has seen."""
    provider = TracerProvider(shutdown_on_exit=False)
    midspan.instrument(tracer_provider=provider)
    instrumentor.instrument(tracer_provider=provider)
    try:
        with capture() as captured:
            yield captured
    finally:
        instrumentor.uninstrument()
        midspan.uninstrument()
        provider.shutdown()


def lines(captured: Captured) -> list[str]:
    """Each operation's type and name, after those of the ones around it, in the order of their starts."""
    operations = {operation.operation_id: operation for operation in captured.operations}
    return [_line(operation, operations) for operation in operations.values()]


def _line(operation: Operation, operations: dict[str, Operation]) -> str:
    above = operations.get(operation.parent_id or "")
    own = f"{operation.operation_type}:{operation.name}"
    return own if above is None else f"{_line(above, operations)} > {own}"
