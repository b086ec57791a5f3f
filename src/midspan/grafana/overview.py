"""The overview: what runs now, what ends how, how long it takes, and how full it is."""

from __future__ import annotations

from dataclasses import replace

from midspan.grafana import dashboard
from midspan.grafana.dashboard import Dashboard, Row
from midspan.grafana.options import ALERTS, OVERVIEW, Options
from midspan.grafana.panel import (
    BARS,
    GREY,
    ORANGE,
    RED,
    STACKED,
    Panel,
    Target,
    colored,
    logarithmic,
    over_range,
    stat,
    timeseries,
)
from midspan.grafana.query import (
    CALLS,
    ERROR,
    MODEL,
    MODEL_LEGEND,
    NO_CALLS,
    OF_PROVIDERS,
    OPERATION,
    OPERATION_LEGEND,
    RANGE,
    STAGE,
    STATUS,
    TOKENS,
    WINDOW,
    Queries,
    aggregated,
    or_zero,
    total,
)

STATUS_COLORS = {"completed": "green", "failed": "red", "lost": "dark-red", "cancelled": GREY}


def build(options: Options) -> Dashboard:
    """The dashboard for one set-up."""
    queries = Queries(options)
    return Dashboard(
        OVERVIEW,
        "midspan / Overview",
        "What the LLM operations of your applications are doing: running, stalled, failing, and how long they take.",
        (
            Row("Now", _now(queries, options)),
            Row("Traffic", _traffic(queries, options)),
            Row("Latency", _latency(queries, options)),
            Row("Saturation", _saturation(queries)),
        ),
        dashboard.operations(options),
        dashboard.marks(queries),
    )


def firing(queries: Queries) -> Panel:
    """How many alerts of midspan's fire."""
    alerts = f'ALERTS{{{queries.job}=~"$job", alertname=~"{ALERTS}.+", alertstate="firing"}}'
    return stat(
        "Alerts firing",
        "Alerts of midspan's rules that fire now. Always 0 where the rules are not loaded.",
        or_zero(f"count({alerts})"),
        "short",
        [(1, RED)],
    )


def failures(queries: Queries, options: Options) -> Panel:
    """The share of failed operations over the whole range."""
    return over_range(
        stat(
            "Failure ratio",
            "Failed and lost operations, of all that were completed, failed or lost in the time range.",
            queries.failure_ratio(RANGE),
            "percentunit",
            [(options.budget, ORANGE), (max(options.thresholds.failure_ratio, options.budget), RED)],
            empty="nothing ended",
        )
    )


def _now(queries: Queries, options: Options) -> tuple[Panel, ...]:
    start = queries.of("midspan_operation_oldest_start_timestamp_seconds")
    started = queries.of("midspan_operation_started_total")
    return (
        stat("Running", "Operations that run now.", or_zero(total(queries.of("midspan_operation_active"))), "short"),
        stat(
            "Started / min",
            "Operations started in a minute.",
            or_zero(f"60 * {total(f'rate({started}[{WINDOW}])')}"),
            "opm",
        ),
        failures(queries, options).leading_to(dashboard.to_failures()),
        stat(
            "Oldest running",
            "For how long the oldest of the running operations has been running.",
            f"time() - min({start})",
            "s",
            empty="nothing runs",
        ),
        *_waiting(queries),
        firing(queries).leading_to(dashboard.to_failures()),
    )


def _waiting(queries: Queries) -> tuple[Panel, ...]:
    return (
        stat(
            "Longest silence",
            "How long ago the quietest running operation has made progress. Each type has its own limit: see Silence.",
            f"max({queries.silence()})",
            "s",
            [(60, ORANGE), (300, RED)],
            empty="nothing runs",
        ),
        stat(
            "Stalled",
            "Running operations without progress for longer than the limit of their type.",
            or_zero(total(queries.of("midspan_operation_stalled"))),
            "short",
            [(1, RED)],
        ).leading_to(dashboard.to_operations()),
        stat(
            "Past deadline",
            "Running operations whose deadline is over.",
            or_zero(total(queries.of("midspan_operation_past_deadline"))),
            "short",
            [(1, RED)],
        ).leading_to(dashboard.to_operations()),
    )


def _traffic(queries: Queries, options: Options) -> tuple[Panel, ...]:
    ended = queries.of("midspan_operation_ended_total")
    attempts = queries.of("midspan_attempts_total", f'{ERROR}!=""', OF_PROVIDERS)
    return (
        replace(
            timeseries(
                "Ended, by status",
                "Operations ended in a second, by how they ended.",
                [Target(total(f"rate({ended}[{WINDOW}])", STATUS), f"{{{{{STATUS}}}}}")],
                "ops",
                empty="nothing has ended yet",
                **STACKED,
            ),
            overrides=tuple(colored(status, color) for status, color in STATUS_COLORS.items()),
        ),
        ratio(queries, options),
        errors(queries).leading_to(dashboard.to_failures()),
        timeseries(
            "Failed attempts, by error",
            "Requests to providers in a second that failed, those included that a retry mended.",
            [Target(total(f"rate({attempts}[{WINDOW}])", ERROR), f"{{{{{ERROR}}}}}")],
            "ops",
            empty="no attempt has failed",
            **BARS,
        ),
    )


def ratio(queries: Queries, options: Options) -> Panel:
    """The failure ratio of each operation, next to what may fail."""
    return timeseries(
        "Failure ratio, by operation",
        f"Failed and lost operations, of all but cancelled ones. Dashed: what may fail, {options.budget:.4g}.",
        [Target(queries.failure_ratio(WINDOW, *OPERATION), OPERATION_LEGEND)],
        "percentunit",
        empty="nothing has ended yet",
        line=[(options.budget, RED)],
    )


def errors(queries: Queries) -> Panel:
    """Failures by what they were."""
    failed = queries.of("midspan_operation_failures_total")
    return timeseries(
        "Failures, by error",
        "Operations failed in a second, by the provider's error code or the exception's class.",
        [Target(total(f"rate({failed}[{WINDOW}])", ERROR), f"{{{{{ERROR}}}}}")],
        "ops",
        empty="nothing has failed",
        **BARS,
    )


def _latency(queries: Queries, options: Options) -> tuple[Panel, ...]:
    limit = options.thresholds.first_chunk
    return (
        _duration(queries, "Duration of calls", "calls to a model", CALLS),
        logarithmic(_duration(queries, "Duration of everything else", "jobs, tools, agents and loops", NO_CALLS)),
        timeseries(
            "Time to first chunk, by model",
            f"95th percentile of the time to the first chunk of an answer. Dashed: {limit:g} s.",
            [Target(queries.quantile(0.95, "midspan_time_to_first_chunk_seconds", (MODEL,)), MODEL_LEGEND, True)],
            "s",
            empty="no answer was streamed",
            line=[(limit, RED)],
        ).sized(8),
        _tokens(queries, "Output", "output"),
        _tokens(queries, "Input", "input"),
    )


def _duration(queries: Queries, title: str, what: str, matcher: str) -> Panel:
    name = "midspan_operation_duration_seconds"
    return timeseries(
        title,
        f"Median and 95th percentile of the duration of {what}, by operation. A dot is a trace.",
        [
            Target(queries.quantile(0.5, name, OPERATION, matcher), f"{OPERATION_LEGEND} p50"),
            Target(queries.quantile(0.95, name, OPERATION, matcher), f"{OPERATION_LEGEND} p95", exemplars=True),
        ],
        "s",
        empty="nothing has ended yet",
        fillOpacity=0,
        showPoints="auto",
    )


def _tokens(queries: Queries, title: str, kind: str) -> Panel:
    counted = queries.of("midspan_tokens_total", f'{TOKENS}="{kind}"')
    return timeseries(
        f"{title} tokens, by model",
        f"{title} tokens in a second, as the servers reported them.",
        [Target(total(f"rate({counted}[{WINDOW}])", MODEL), MODEL_LEGEND)],
        "suffix:tokens/s",
        empty="no usage was reported",
    ).sized(8)


def _saturation(queries: Queries) -> tuple[Panel, ...]:
    active = queries.of("midspan_operation_active")
    return (
        timeseries(
            "Running, by operation",
            "Operations that run, stacked.",
            [Target(total(active, *OPERATION), OPERATION_LEGEND)],
            "short",
            empty="nothing has run yet",
            **STACKED,
        ).sized(8),
        timeseries(
            "Running, by stage",
            "Operations that run, by the stage they are in, stacked. Stages of your own are custom.",
            [Target(f"{total(active, STAGE)} > 0", f"{{{{{STAGE}}}}}")],
            "short",
            empty="nothing runs",
            **STACKED,
        ).sized(8),
        silence(queries).sized(8),
    )


def silence(queries: Queries) -> Panel:
    """Silence in the terms of each type's limit, so that seconds and hours stand on one scale."""
    share = f"clamp_max({queries.silence()} / {queries.of('midspan_operation_stall_after_seconds')}, 2)"
    return timeseries(
        "Silence, of its limit",
        "Time since the quietest one made progress, of its type's limit: stalled from 100 % on. Never above 200 %.",
        [Target(aggregated("max", share, *OPERATION), OPERATION_LEGEND)],
        "percentunit",
        empty="nothing runs",
        line=[(1, RED)],
        axisSoftMax=1.2,
    )
