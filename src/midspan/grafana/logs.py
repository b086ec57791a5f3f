"""The lifecycle log events, on Loki as it stores OpenTelemetry's log records (dots are underscores there, too)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from midspan.grafana import dashboard
from midspan.grafana.dashboard import Dashboard, Row
from midspan.grafana.options import LOGS, OVERVIEW, Options
from midspan.grafana.overview import STATUS_COLORS
from midspan.grafana.panel import BARS, LOKI, ORANGE, RED, Json, Panel, Target, colored, stat, timeseries

STREAM: Final = '{service_name=~"$service"}'
STATUS: Final = "midspan_operation_status"

# Not by the event's name: Loki keeps that only since 2026.
OURS: Final = f'{STREAM} | scope_name="midspan"'
CHOSEN: Final = f'{OURS} | midspan_operation_type=~"$type" | midspan_operation_id=~"$id"'
STARTED: Final = f'{CHOSEN} |~ " started$"'
STALLED: Final = f'{CHOSEN} |~ " stalled$"'
ENDED: Final = f'{CHOSEN} | {STATUS}!=""'
BAD: Final = f'{CHOSEN} | {STATUS}=~"failed|lost"'

NOTHING: Final = "no event"


def build(options: Options) -> Dashboard:
    """The dashboard for one set-up."""
    return Dashboard(
        LOGS,
        "midspan / Log events",
        "Operations as their log events tell: started, stalled, ended, each with its trace.",
        (
            Row("How many", (*_counts(), _starts(), _endings())),
            Row("Failures", (_lines("Failed and lost", "Operations that failed or were lost.", BAD),)),
            Row(
                "Stalls", (_lines("Stalled", "Operations that made no progress for longer than their limit.", STALLED),)
            ),
            Row("Everything", (_lines("Events", "All log events of midspan, newest first.", CHOSEN).sized(24, 14),)),
        ),
        _variables(options),
    )


def _variables(options: Options) -> tuple[Json, ...]:
    return (
        dashboard.datasource("loki", "Loki data source", "loki_datasource"),
        dashboard.chooser("service", "Service", "|service_name", ".+", LOKI),
        _text("type", "Type", "type of operation"),
        _text("id", "Operation id", "id of one operation"),
    )


def _text(name: str, label: str, what: str) -> Json:
    """Structured metadata cannot be listed: a regular expression is typed."""
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "description": f"A regular expression: the {what}.",
        "query": ".*",
        "current": {"selected": True, "text": ".*", "value": ".*"},
        "hide": 0,
        "options": [{"selected": True, "text": ".*", "value": ".*"}],
        "skipUrlSync": False,
    }


def _counts() -> tuple[Panel, ...]:
    def count(title: str, description: str, selected: str, *steps: tuple[float, str]) -> Panel:
        panel = stat(title, description, f"sum(count_over_time({selected} [$__range]))", "short", steps, empty="0")
        instant = tuple(replace(one, instant=True) for one in panel.targets)
        return replace(panel, source=LOKI, targets=instant, options={**panel.options, "graphMode": "none"}).sized(6)

    return (
        count("Started", "Operations of more than a second that have started.", STARTED),
        count("Stalled", "Times that an operation stalled.", STALLED, (1, ORANGE)),
        count("Ended", "Operations that have ended, shorter ones only if they failed.", ENDED),
        count("Failed and lost", "Operations that failed or were lost.", BAD, (1, RED)),
    )


def _over_time(title: str, description: str, selected: str, by: str) -> Panel:
    expression = f"sum by ({by}) (count_over_time({selected} [$__auto]))"
    target = Target(expression, f"{{{{{by}}}}}")
    return replace(timeseries(title, description, [target], "short", empty=NOTHING, **BARS), source=LOKI)


def _starts() -> Panel:
    return _over_time("Started, by type", "Operations that have started.", STARTED, "midspan_operation_type")


def _endings() -> Panel:
    panel = _over_time("Ended, by status", "Operations that have ended, by how.", ENDED, STATUS)
    return replace(panel, overrides=tuple(colored(status, color) for status, color in STATUS_COLORS.items()))


def _lines(title: str, description: str, selected: str) -> Panel:
    options: Json = {
        "dedupStrategy": "none",
        "enableLogDetails": True,
        "prettifyLogMessage": False,
        "showCommonLabels": False,
        "showLabels": False,
        "showTime": True,
        "sortOrder": "Descending",
        "wrapLogMessage": False,
    }
    back = {"title": "Overview", "url": f"/d/{OVERVIEW}?${{__url_time_range}}", "targetBlank": False}
    return Panel(
        "logs", title, description, (Target(selected),), 24, 8, {"noValue": NOTHING}, options, (), (), (back,), LOKI
    )
