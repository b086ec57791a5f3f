"""A dashboard around its panels: rows and places, variables, links, annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from midspan.grafana.options import ALERTS, LOGS, OPERATIONS, SLO, Options
from midspan.grafana.panel import LOKI, PROMETHEUS, SOURCES, Json, Panel
from midspan.grafana.query import COMMON, Queries

SCHEMA_VERSION: Final = 39
"""Grafana 11's: newer ones migrate it when they load it."""
TAG: Final = "midspan"
COLUMNS: Final = 24

LABELS: Final = {"type": "Type", "operation": "Operation", "provider": "Provider", "model": "Model"}


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of panels, placed from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `variables` are those it is filtered by, beyond its data source."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Json, ...]
    annotations: tuple[Json, ...] = ()
    since: str = "now-1h"
    tags: tuple[str, ...] = field(default=(TAG,))

    def json(self) -> Json:
        """The dashboard in the classic schema."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "editable": False,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA_VERSION,
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "refresh": "30s",
            "liveNow": False,
            "fiscalYearStartMonth": 0,
            "links": [_to_the_others()],
            "annotations": {"list": list(self.annotations)},
            "templating": {"list": list(self.variables)},
            "panels": list(_placed(self.rows)),
        }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    panel_id, y = 0, 0
    for row in rows:
        panel_id += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        yield {"id": panel_id, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            panel_id += 1
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel.json(panel_id, x, y)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _to_the_others() -> Json:
    return {
        "type": "dashboards",
        "title": "midspan",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards, with the same variables and time",
        "url": "",
    }


# --- variables --------------------------------------------------------------------------------------


def datasource(kind: str, label: str, name: str = "datasource", chosen: str = "") -> Json:
    """The variable that chooses a data source."""
    return {
        "type": "datasource",
        "name": name,
        "label": label,
        "query": kind,
        "current": {"selected": True, "text": chosen, "value": chosen} if chosen else {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def chooser(name: str, label: str, values: str, everything: str = ".*", source: str = PROMETHEUS) -> Json:
    """A variable of several values, all of them at first; `.*` also matches series without the label."""
    query: Json = {"qryType": 1, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    if source == LOKI:
        stream, _, wanted = values.partition("|")
        query = {"label": wanted, "refId": "LokiVariableQueryEditor-VariableQuery", "stream": stream, "type": 1}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCES[source],
        "query": query,
        "definition": values,
        "allValue": everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }


def processes(options: Options) -> tuple[Json, ...]:
    """The data source, and which applications and which of their processes."""
    told = '{__name__=~"midspan_build_info|midspan_operation_started_total"}'
    chosen = f'{told[:-1]}, {options.job_label}=~"$job"}}'
    return (
        datasource("prometheus", "Prometheus data source", chosen=options.datasource),
        chooser("job", "Job", f"label_values({told}, {options.job_label})", ".+"),
        chooser("instance", "Instance", f"label_values({chosen}, {options.instance_label})", ".+"),
    )


def operations(options: Options) -> tuple[Json, ...]:
    """The variables of `processes`, and one for each common label."""
    series = Queries(options).process("midspan_operation_started_total")
    return (
        *processes(options),
        *(chooser(name, LABELS[name], f"label_values({series}, {label})") for label, name in COMMON.items()),
    )


# --- links and marks --------------------------------------------------------------------------

KEPT: Final = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "job", "instance", *COMMON.values()))


def link(uid: str, title: str, more: str = "") -> Json:
    """A link to another of the dashboards that keeps the variables and the time."""
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}&{KEPT}{more}", "targetBlank": False}


def to_operations() -> Json:
    """The long operations one by one."""
    return link(OPERATIONS, "Operations one by one")


def to_failures() -> Json:
    """What failed."""
    return link(SLO, "Failures and SLO")


def to_logs(operation_id: str) -> Json:
    """The log events of one operation."""
    return {
        "title": "Log events of this operation",
        "url": f"/d/{LOGS}?${{__url_time_range}}&var-id={operation_id}",
        "targetBlank": False,
    }


def marks(queries: Queries) -> tuple[Json, ...]:
    """Alerts that fire, and processes that have started."""
    firing = f'ALERTS{{{queries.job}=~"$job", alertname=~"{ALERTS}.+", alertstate="firing"}}'
    restarted = f"changes({queries.process('process_start_time_seconds')}[$__rate_interval]) > 0"
    return (
        _annotation("Alerts", "red", firing, "{{alertname}}", "{{severity}} {{midspan_operation_name}}"),
        _annotation("Restarts", "blue", queries.ours(restarted), "restarted", f"{{{{{queries.instance}}}}}"),
    )


def _annotation(name: str, color: str, expr: str, title: str, text: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCES[PROMETHEUS],
        "enable": True,
        "hide": False,
        "expr": expr,
        "iconColor": color,
        "step": "60s",
        "titleFormat": title,
        "textFormat": text,
    }
