"""The long operations, one by one: how far, in which stage, how silent, when they end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from midspan.core.operation import Stage
from midspan.grafana import dashboard
from midspan.grafana.dashboard import Dashboard, Row
from midspan.grafana.options import OPERATIONS, Options
from midspan.grafana.overview import silence
from midspan.grafana.panel import (
    ORANGE,
    RED,
    Json,
    Panel,
    Target,
    bar_gauge,
    logarithmic,
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
    ID,
    NAME,
    NO_CALLS,
    OPERATION,
    OPERATION_LEGEND,
    RANGE,
    STAGE,
    TYPE,
    WINDOW,
    Queries,
    aggregated,
    grown,
    or_zero,
    total,
)

ONE: Final = (ID, NAME, TYPE)
ONE_LEGEND: Final = f"{{{{{NAME}}}}} {{{{{ID}}}}}"
NOTHING: Final = "no long operation runs"

PALETTE: Final = (
    *("#73bf69", "#56a64b", "#37872d", "#96d98d", "#8ab8ff", "#5794f2", "#3274d9"),
    *("#b877d9", "#fade2a", "#ff9830", "#e0b400", "#a352cc", "#f2495c"),
)
"""A colour for each stage: green for preparing, blue for connecting, yellow for the answer, red for retrying."""


def build(options: Options) -> Dashboard:
    """The dashboard for one set-up."""
    queries = Queries(options)
    ids = f"label_values({_live(queries, 'last_progress_timestamp_seconds', every=True)}, {ID})"
    return Dashboard(
        OPERATIONS,
        "midspan / Operations",
        "Long operations one by one: progress, stage, silence, and when they are expected to end.",
        (
            Row("Now", _now(queries)),
            Row("One by one", (_table(queries), _stages(queries), *_progress(queries))),
            Row("By operation", _by_operation(queries)),
        ),
        (*dashboard.operations(options), dashboard.chooser("id", "Operation id", ids, ".+")),
        dashboard.marks(queries),
    )


def _live(queries: Queries, metric: str, *, every: bool = False) -> str:
    chosen = () if every else (f'{ID}=~"$id"',)
    return queries.of(f"midspan_live_operation_{metric}", *chosen)


def _now(queries: Queries) -> tuple[Panel, ...]:
    return (
        *_expected(queries),
        *_late(queries),
        stat(
            "Mean progress",
            "Mean progress of all running operations whose progress is known.",
            f"avg({queries.of('midspan_operation_progress_ratio')})",
            "percentunit",
            empty="unknown",
        ),
        over_range(
            stat(
                "Hidden by limits",
                "Long operations without series of their own, because more than 200 began in an hour.",
                or_zero(_hidden(queries)),
                "short",
                [(1, ORANGE)],
            )
        ),
    )


def _expected(queries: Queries) -> tuple[Panel, ...]:
    shown, eta = _live(queries, "last_progress_timestamp_seconds"), _live(queries, "eta_timestamp_seconds")
    return (
        stat(
            "Shown below",
            "Long operations with series of their own: running for more than 30 s, and no single calls to a model.",
            or_zero(f"count({shown})"),
            "short",
        ),
        stat(
            "Next to end",
            "When the first of them is expected to end.",
            f"min({eta}) - time()",
            "s",
            empty="no estimate",
        ),
        stat(
            "Last to end", "When the last of them is expected to end.", f"max({eta}) - time()", "s", empty="no estimate"
        ),
    )


def _late(queries: Queries) -> tuple[Panel, ...]:
    eta, deadline = _live(queries, "eta_timestamp_seconds"), _live(queries, "deadline_timestamp_seconds")
    return (
        stat(
            "Will be late",
            "Operations that are expected to end after their deadline.",
            or_zero(f"count({eta} > {deadline})"),
            "short",
            [(1, ORANGE)],
        ),
        stat(
            "Past deadline",
            "Running operations whose deadline is over, short ones included.",
            or_zero(total(queries.of("midspan_operation_past_deadline"))),
            "short",
            [(1, RED)],
        ),
        stat(
            "Stalled",
            "Running operations without progress for longer than the limit of their type, short ones included.",
            or_zero(total(queries.of("midspan_operation_stalled"))),
            "short",
            [(1, RED)],
        ),
    )


def _hidden(queries: Queries) -> str:
    """Operations that the limit on new ids has hidden in the time range."""
    hidden = queries.process("midspan_series_suppressed_total", 'reason="live_operations"')
    return total(grown(hidden, RANGE))


def _table(queries: Queries) -> Panel:
    def rows(expression: str, *by: str) -> Target:
        return Target(aggregated("max", expression, *ONE, *by), table=True)

    targets = (
        rows(_live(queries, "stage"), STAGE),
        rows(_live(queries, "progress_ratio")),
        rows(f"time() - {_live(queries, 'last_progress_timestamp_seconds')}"),
        rows(f"{_live(queries, 'eta_timestamp_seconds')} - time()"),
        rows(f"{_live(queries, 'deadline_timestamp_seconds')} - time()"),
    )
    panel = table("Operations", "The 20 oldest operations that run for more than 30 s.", targets, empty=NOTHING)
    return replace(panel, transformations=_columns(), overrides=_styles())


def _columns() -> tuple[Json, ...]:
    names = [NAME, TYPE, ID, STAGE, "Value #B", "Value #C", "Value #D", "Value #E"]
    titles = ["Operation", "Type", "Id", "Stage", "Progress", "Silent for", "Ends in", "Deadline in"]
    return (
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True, "Value #A": True},
                "indexByName": {name: index for index, name in enumerate(names)},
                "renameByName": dict(zip(names, titles, strict=True)),
            },
        },
    )


def _styles() -> tuple[Json, ...]:
    colored_text: Json = {"type": "color-text"}
    gauge: Json = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    to_logs = dashboard.to_logs("${__data.fields.Id}")
    return (
        override("Id", links=[to_logs]),
        override("Progress", unit="percentunit", min=0, max=1, **unknown(), custom_cellOptions=gauge, custom_width=260),
        override(
            "Silent for",
            unit="s",
            decimals=0,
            thresholds=thresholds([(60, ORANGE), (300, RED)]),
            custom_cellOptions=colored_text,
        ),
        override("Ends in", unit="s", decimals=0, **unknown()),
        override(
            "Deadline in",
            unit="s",
            decimals=0,
            **unknown(),
            thresholds=thresholds([(0, ORANGE), (300, "text")], RED),
            custom_cellOptions=colored_text,
        ),
    )


def _stages(queries: Queries) -> Panel:
    stages = [*map(str, Stage), "custom"]
    numbered = (f'label_replace(vector({n}), "{STAGE}", "{stage}", "", "")' for n, stage in enumerate(stages, 1))
    joined = f"{_live(queries, 'stage')} * on ({STAGE}) group_left () ({' or '.join(numbered)})"
    states = [
        (n, stage.replace("_", " "), color) for n, (stage, color) in enumerate(zip(stages, PALETTE, strict=True), 1)
    ]
    return state_timeline(
        "Stage",
        "The stage that each long operation was in. Stages of your own are custom.",
        Target(aggregated("max", joined, ID, NAME), ONE_LEGEND),
        states,
        empty=NOTHING,
    )


def _progress(queries: Queries) -> tuple[Panel, ...]:
    progress = Target(aggregated("max", _live(queries, "progress_ratio"), ID, NAME), ONE_LEGEND)
    return (
        bar_gauge(
            "Progress now",
            "How far each long operation is.",
            replace(progress, instant=True),
            empty=NOTHING,
        ),
        timeseries(
            "Progress over time",
            "How far each long operation was. A flat line makes no progress.",
            [progress],
            "percentunit",
            empty=NOTHING,
            # Else a line would join the end of one run to the start of the next.
            insertNulls=300_000,
            fillOpacity=0,
            axisSoftMax=1,
            showPoints="auto",
        ),
    )


def _by_operation(queries: Queries) -> tuple[Panel, ...]:
    updates = queries.of("midspan_operation_updates_total", NO_CALLS)
    return (
        timeseries(
            "Updates, by operation",
            "Progress updates in a second, calls to models left out. None: it is stalled, or does not report.",
            [Target(total(f"rate({updates}[{WINDOW}])", *OPERATION), OPERATION_LEGEND)],
            "suffix:updates/s",
            empty="no update yet",
        ).sized(12),
        silence(queries),
        *_times(queries),
    )


def _times(queries: Queries) -> tuple[Panel, ...]:
    method = "midspan_estimate_method"
    return (
        logarithmic(
            timeseries(
                "Time in each stage",
                "95th percentile of the time spent in a stage, of operations longer than a second.",
                [Target(queries.quantile(0.95, "midspan_stage_duration_seconds", (STAGE,)), f"{{{{{STAGE}}}}}")],
                "s",
                empty="none has ended yet",
                fillOpacity=0,
                showPoints="auto",
            ),
        ),
        timeseries(
            "Error of the first estimate",
            "Median of how far the first estimate of the remaining time was off, by what it was made from.",
            [Target(queries.quantile(0.5, "midspan_estimate_error_seconds", (method,)), f"{{{{{method}}}}}")],
            "s",
            empty="no estimate to judge yet",
            fillOpacity=0,
            showPoints="auto",
        ),
    )
