"""Recording rules: the failure ratios that the alerts and the dashboards read, and what is left of the budget."""

from __future__ import annotations

from typing import Final

from midspan.grafana.options import Options
from midspan.grafana.rule_queries import BAD, COUNTED, by, label_set, operation
from midspan.grafana.yaml_text import Value

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
SLOW_WINDOWS: Final = ("1d", "3d")
SLOW_INTERVAL: Final = "2m"
"""A ratio of days does not change in seconds, and costs the most."""

FIRST_CHUNK: Final = "job_operation_model:midspan_time_to_first_chunk_seconds:p95_5m"
BUDGET_LEFT: Final = "job_operation:midspan_error_budget_remaining:ratio_3d"
"""1 is a whole budget, 0 an empty one; below that more has failed than may."""


def failed_ratio(window: str) -> str:
    """The name of the share of operations that failed or were lost within `window`, one of the above."""
    return f"job_operation:midspan_operation_failed:ratio_rate{window}"


def groups(options: Options) -> list[dict[str, Value]]:
    """Both groups of recording rules."""
    quick = [_ratio(options, window) for window in WINDOWS]
    slow = [_ratio(options, window) for window in SLOW_WINDOWS]
    return [
        {"name": "midspan-records", "rules": [*quick, _first_chunk(options)]},
        {"name": "midspan-records-slow", "interval": SLOW_INTERVAL, "rules": [*slow, _budget_left(options)]},
    ]


def _ratio(options: Options, window: str) -> dict[str, Value]:
    total = by(operation(options))
    expr = f"{total} (rate({BAD}[{window}]))\n/\n{total} (rate({COUNTED}[{window}]))"
    return {"record": failed_ratio(window), "expr": expr}


def _first_chunk(options: Options) -> dict[str, Value]:
    buckets = f"{by((*label_set(options), 'le'))} (rate(midspan_time_to_first_chunk_seconds_bucket[5m]))"
    return {"record": FIRST_CHUNK, "expr": f"histogram_quantile(0.95, {buckets})"}


def _budget_left(options: Options) -> dict[str, Value]:
    return {"record": BUDGET_LEFT, "expr": f"1 - {failed_ratio('3d')} / {options.budget:g}"}
