"""Failures and the SLO: what is left of the error budget, how fast it burns, what failed, which alerts fire."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from midspan.grafana import dashboard
from midspan.grafana.dashboard import Dashboard, Row
from midspan.grafana.options import ALERTS, SLO, Options
from midspan.grafana.overview import errors, failures, firing, ratio
from midspan.grafana.panel import (
    ORANGE,
    RED,
    Json,
    Panel,
    Target,
    over_range,
    override,
    stat,
    state_timeline,
    table,
    thresholds,
    timeseries,
    unknown,
)
from midspan.grafana.query import (
    ERROR,
    MODEL,
    NAME,
    OF_PROVIDERS,
    PROVIDER,
    RANGE,
    STATUS,
    TYPE,
    WINDOW,
    Queries,
    aggregated,
    or_zero,
    total,
)

BURNS: Final = (6.0, 14.4)
"""How many times faster than allowed: a budget of 30 days is then gone in 5 days, or in 2."""


def build(options: Options) -> Dashboard:
    """The dashboard for one set-up."""
    queries = Queries(options)
    return Dashboard(
        SLO,
        "midspan / Failures and SLO",
        f"What fails, against the objective that {100 * options.slo:.6g} % of the operations must not.",
        (
            Row("Objective", (*_now(queries, options), _burn(queries, options), ratio(queries, options))),
            Row("What failed", (_failed(queries), errors(queries), _attempts(queries))),
            Row("Alerts", (_alerts(queries),)),
        ),
        dashboard.operations(options),
        dashboard.marks(queries),
        since="now-6h",
    )


def _now(queries: Queries, options: Options) -> tuple[Panel, ...]:
    left = f"clamp_min(1 - ({queries.failure_ratio(RANGE)}) / {options.budget:g}, -1)"
    restarts = f"changes({queries.process('process_start_time_seconds')}[{RANGE}])"
    return (
        _ranged(
            "Error budget left",
            f"How much is left, in the time range, of the {options.budget:.4g} that may fail. Overdrawn below 0.",
            left,
            "percentunit",
            [(0.0, ORANGE), (0.5, "green")],
            empty="nothing ended",
            below=RED,
        ).sized(4),
        failures(queries, options).sized(4),
        *_counts(queries),
        firing(queries).sized(4),
        _ranged(
            "Restarts",
            "Restarts of the processes that midspan is in, in the time range.",
            or_zero(f"sum({queries.ours(restarts)})"),
            "short",
            [(1, ORANGE)],
        ).sized(4),
    )


def _counts(queries: Queries) -> tuple[Panel, ...]:
    failed, ended = "midspan_operation_failures_total", "midspan_operation_ended_total"
    lost = queries.grown(ended, RANGE, (), f'{STATUS}="lost"')
    return (
        _ranged(
            "Failed",
            "Operations that failed in the time range.",
            or_zero(f"round({queries.grown(failed, RANGE, ())})"),
            "short",
            [(1, ORANGE)],
        ).sized(4),
        _ranged(
            "Lost",
            "Operations of which the end was never seen in the time range.",
            or_zero(f"round({lost})"),
            "short",
            [(1, RED)],
        ).sized(4),
    )


def _ranged(title: str, description: str, expr: str, unit: str, steps: list[tuple[float, str]], **more: str) -> Panel:
    return over_range(stat(title, description, expr, unit, steps, **more))


def _burn(queries: Queries, options: Options) -> Panel:
    windows = (("5m", "5 minutes"), ("1h", "1 hour"), ("6h", "6 hours"))
    lines = [
        Target(f"({queries.failure_ratio(window)}) / {options.budget:g}", f"over {told}") for window, told in windows
    ]
    return timeseries(
        "Burn rate",
        "How many times faster than allowed the error budget is used up. Dashed: 6 and 14.4, where alerts begin.",
        lines,
        "suffix:times",
        empty="nothing has ended yet",
        line=[(BURNS[0], ORANGE), (BURNS[1], RED)],
        axisSoftMax=15,
    )


def _failed(queries: Queries) -> Panel:
    by = (NAME, TYPE, PROVIDER, MODEL, ERROR)
    count = f"round({queries.grown('midspan_operation_failures_total', RANGE, by)}) > 0"
    panel = table(
        "What failed",
        "Failed operations of the time range, by operation, model and error.",
        [Target(f"sort_desc({count})", table=True)],
        empty="nothing has failed",
    )
    titles = {NAME: "Operation", TYPE: "Type", PROVIDER: "Provider", MODEL: "Model", ERROR: "Error", "Value": "Failed"}
    columns: Json = {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate(titles)},
        "renameByName": titles,
    }
    return replace(
        panel,
        transformations=({"id": "organize", "options": columns},),
        overrides=(
            override("Provider", **unknown()),
            override("Model", **unknown()),
            override(
                "Failed",
                decimals=0,
                thresholds=thresholds([(1, ORANGE), (10, RED)]),
                custom_cellOptions={"type": "color-text"},
            ),
        ),
    )


def _attempts(queries: Queries) -> Panel:
    made = total(f"rate({queries.of('midspan_attempts_total', OF_PROVIDERS)}[{WINDOW}])", PROVIDER)
    selected = queries.of("midspan_attempts_total", OF_PROVIDERS, f'{ERROR}!=""')
    failed = total(f"rate({selected}[{WINDOW}])", PROVIDER)
    return timeseries(
        "Failed attempts, by provider",
        "Attempts that failed, of all that were made. What a retry mends is no failure of the operation.",
        [Target(f"{failed} / ({made} > 0)", f"{{{{{PROVIDER}}}}}")],
        "percentunit",
        empty="no attempt was made",
    )


def _alerts(queries: Queries) -> Panel:
    alerts = f'{queries.job}=~"$job", alertname=~"{ALERTS}.+"'
    both = f'ALERTS{{{alerts}, alertstate="firing"}} * 2 or ALERTS{{{alerts}, alertstate="pending"}}'
    return state_timeline(
        "Alerts",
        "Which of midspan's alerts were pending or firing, and when.",
        Target(aggregated("max", both, "alertname"), "{{alertname}}"),
        ((1, "pending", ORANGE), (2, "firing", RED)),
        empty="no alert",
    )
