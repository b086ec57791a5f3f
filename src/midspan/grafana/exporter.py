"""midspan itself: whether it is scraped, what it costs, what its limits have hidden, what went wrong in it."""

from __future__ import annotations

from midspan.grafana import dashboard
from midspan.grafana.dashboard import Dashboard, Row
from midspan.grafana.options import EXPORTER, Options
from midspan.grafana.panel import BARS, ORANGE, RED, Panel, Target, over_range, stat, timeseries
from midspan.grafana.query import RANGE, WINDOW, Queries, grown, or_zero, total

PUSHED = "not scraped"


def build(options: Options) -> Dashboard:
    """The dashboard for one set-up."""
    queries = Queries(options)
    return Dashboard(
        EXPORTER,
        "midspan / midspan itself",
        "Whether midspan is scraped, what it costs, what its limits have hidden, and what went wrong in it.",
        (
            Row("Now", _now(queries)),
            Row("What it could not do", _limits(queries)),
            Row("Scraping", _scraping(queries)),
            Row("Processes", _processes(queries)),
        ),
        dashboard.processes(options),
        dashboard.marks(queries),
    )


def _now(queries: Queries) -> tuple[Panel, ...]:
    up = queries.process("up")
    return (
        stat(
            "Processes",
            "Processes that midspan tells about, by their scrapes.",
            or_zero(f"count({queries.process('midspan_build_info')})"),
            "short",
        ).sized(4),
        stat(
            "Scrapes that fail",
            "Processes that were scraped in the last hour, and are not now.",
            or_zero(f"count({queries.ours(f'{up} == 0')})"),
            "short",
            [(1, RED)],
        ).sized(4),
        _ranged("Internal errors", "Failures of midspan itself in the time range.", _errors(queries, RANGE), RED),
        _ranged(
            "Hidden by limits",
            "Series, events and texts that a limit has replaced by 'other', dropped or cut in the time range.",
            _suppressed(queries, RANGE),
            ORANGE,
        ),
        *_scrapes(queries),
    )


def _scrapes(queries: Queries) -> tuple[Panel, ...]:
    return (
        stat(
            "Slowest scrape",
            "The longest time that a scrape of midspan has taken.",
            f"max({queries.ours(queries.process('scrape_duration_seconds'))})",
            "s",
            [(0.5, ORANGE), (5, RED)],
            empty=PUSHED,
        ).sized(4),
        stat(
            "Largest scrape",
            "The most samples that a scrape has brought, the application's own among them.",
            f"max({queries.ours(queries.process('scrape_samples_scraped'))})",
            "short",
            [(10_000, ORANGE), (50_000, RED)],
            empty=PUSHED,
        ).sized(4),
    )


def _grown(queries: Queries, metric: str, window: str, *by: str) -> str:
    return total(grown(queries.process(metric), window), *by)


def _errors(queries: Queries, window: str, *by: str) -> str:
    return _grown(queries, "midspan_internal_errors_total", window, *by)


def _suppressed(queries: Queries, window: str, *by: str) -> str:
    return _grown(queries, "midspan_series_suppressed_total", window, *by)


def _ranged(title: str, description: str, expr: str, color: str) -> Panel:
    return over_range(stat(title, description, or_zero(f"round({expr})"), "short", [(1, color)])).sized(4)


def _limits(queries: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "Internal errors, by component",
            "Failures of midspan itself, of which the application saw nothing. The first of each is in its log.",
            [Target(_errors(queries, WINDOW, "midspan_component"), "{{midspan_component}}")],
            "short",
            empty="no error",
            **BARS,
        ),
        timeseries(
            "Hidden, by limit",
            "What the limits have replaced by 'other', dropped or cut: labels, operations, events, content.",
            [Target(_suppressed(queries, WINDOW, "reason"), "{{reason}}")],
            "short",
            empty="nothing is hidden",
            **BARS,
        ),
    )


def _scraping(queries: Queries) -> tuple[Panel, ...]:
    legend = f"{{{{{queries.job}}}}} {{{{{queries.instance}}}}}"

    def lines(title: str, description: str, metric: str, unit: str) -> Panel:
        return timeseries(
            title, description, [Target(queries.ours(queries.process(metric)), legend)], unit, empty=PUSHED
        ).sized(8)

    updates = queries.process("midspan_operation_updates_total")
    return (
        lines("Scrape duration", "How long a scrape takes.", "scrape_duration_seconds", "s"),
        lines("Samples per scrape", "How many samples a scrape brings.", "scrape_samples_scraped", "short"),
        timeseries(
            "Updates",
            "Progress updates that midspan has taken in a second.",
            [Target(total(f"rate({updates}[{WINDOW}])", queries.job, queries.instance), legend)],
            "suffix:updates/s",
            empty="no update yet",
        ).sized(8),
    )


def _processes(queries: Queries) -> tuple[Panel, ...]:
    legend = f"{{{{{queries.job}}}}} {{{{{queries.instance}}}}}"
    cpu = f"rate({queries.process('process_cpu_seconds_total')}[{WINDOW}])"
    rules = 'prometheus_rule_evaluation_failures_total{rule_group=~".*midspan.*"}'
    # A group's label is its file and its name.
    failing = f'sum by (group) (label_replace(increase({rules}[{WINDOW}]), "group", "$1", "rule_group", ".*;(.*)"))'

    def lines(title: str, description: str, expression: str, unit: str) -> Panel:
        return timeseries(title, description, [Target(expression, legend)], unit, empty=PUSHED).sized(8)

    memory = queries.process("process_resident_memory_bytes")
    return (
        lines(
            "Memory", "Resident memory of each process, the application's own included.", queries.ours(memory), "bytes"
        ),
        lines("CPU", "CPU of each process, the application's own included.", queries.ours(cpu), "percentunit"),
        timeseries(
            "Rules that fail",
            "Evaluations of midspan's rules that failed, as a Prometheus tells that scrapes itself.",
            [Target(failing, "{{group}}")],
            "short",
            empty="no rule has failed",
            axisSoftMax=1,
        ).sized(8),
    )
