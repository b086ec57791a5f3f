"""What holds for every operation that anybody is shown, whatever it was given: short, clean, in range, valid JSON."""

from __future__ import annotations

import json
import math

from prometheus_client.parser import text_string_to_metric_families

from midspan.core import wire
from midspan.core.bounds import MAX_AMOUNT, MAX_COUNT
from midspan.core.operation import Operation
from midspan.core.registry import Registry
from midspan.telemetry.prometheus import MetricsPage

UNSAFE = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\u200e", "\u202e", "\u2066"}


def is_clean(text: str | None, limit: int) -> bool:
    """Short, and nothing in it that could forge a line."""
    return text is None or (len(text) <= limit and not set(text) & UNSAFE)


def check(operation: Operation) -> None:
    """What holds for every operation that anybody is shown."""
    for text, limit in (
        (operation.name, 128),
        (operation.message, 512),
        (operation.stage, 64),
        (operation.unit, 128),
        (operation.provider, 128),
        (operation.model, 128),
        (operation.error and operation.error.message, 512),
    ):
        assert is_clean(text, limit), text
    assert operation.progress is None or 0.0 <= operation.progress <= 1.0
    assert operation.step is None or 0 <= operation.step <= MAX_COUNT
    assert all(n is None or 0.0 <= n <= MAX_AMOUNT for n in (operation.completed, operation.total))
    assert len(operation.metadata or {}) <= 32
    assert all(is_clean(key, 128) for key in operation.metadata or {})
    assert len(operation.history) <= 64
    seconds = operation.estimated_remaining_seconds
    assert seconds is None or (seconds >= 0.0 and math.isfinite(seconds))
    json.loads(wire.encode(operation))


def page_names(registry: Registry) -> set[str]:
    """The families on the page of metrics, as Prometheus reads it."""
    page, _ = MetricsPage(registry)()
    return {family.name for family in text_string_to_metric_families(page.decode())}
