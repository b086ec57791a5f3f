"""One panel as Grafana's classic schema has it, and the shapes that the dashboards are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

Json = dict[str, Any]
Steps = Sequence[tuple[float, str]]

PROMETHEUS: Final = "prometheus"
LOKI: Final = "loki"
SOURCES: Final[Mapping[str, Json]] = {
    PROMETHEUS: {"type": PROMETHEUS, "uid": "${datasource}"},
    LOKI: {"type": LOKI, "uid": "${loki_datasource}"},
}
"""Each kind of data source by the variable that chooses it."""

GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "#8e8e8e", "blue"


@dataclass(frozen=True, slots=True)
class Target:
    """One query; `table` is one row a series at the end of the range, `exemplars` come from a histogram's buckets."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    table: bool = False
    instant: bool = False

    def json(self, ref_id: str, source: str) -> Json:
        """The target under its letter."""
        instant = self.table or self.instant
        shape: Json = {"exemplar": self.exemplars, "format": "table" if self.table else "time_series"}
        if source == LOKI:
            shape = {"queryType": "range"}
        return {
            "refId": ref_id,
            "datasource": SOURCES[source],
            "editorMode": "code",
            "expr": self.expr,
            "instant": instant,
            "legendFormat": self.legend or "__auto",
            "range": not instant,
            **shape,
        }


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without its place. `width` is in columns of 24, `height` in Grafana's rows of 30 pixels."""

    kind: str
    title: str
    description: str
    targets: tuple[Target, ...]
    width: int
    height: int
    defaults: Json
    options: Json
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    links: tuple[Json, ...] = ()
    source: str = PROMETHEUS

    def json(self, panel_id: int, x: int, y: int) -> Json:
        """The panel at its place in the grid."""
        found: Json = {
            "id": panel_id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCES[self.source],
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "fieldConfig": {"defaults": self.defaults, "overrides": list(self.overrides)},
            "options": self.options,
            "targets": [one.json(chr(ord("A") + index), self.source) for index, one in enumerate(self.targets)],
        }
        if self.transformations:
            found["transformations"] = list(self.transformations)
        if self.links:
            found["links"] = list(self.links)
        return found

    def sized(self, width: int, height: int | None = None) -> Panel:
        """The same with another size."""
        return replace(self, width=width, height=height or self.height)

    def leading_to(self, *links: Json) -> Panel:
        """The same with links at its title."""
        return replace(self, links=links)


def thresholds(steps: Steps, below: str = GREEN) -> Json:
    """Colours from these values on, `below` before the first."""
    rest: list[Json] = [{"color": color, "value": value} for value, color in steps]
    return {"mode": "absolute", "steps": [{"color": below, "value": None}, *rest]}


def stat(
    title: str, description: str, expr: str, unit: str, steps: Steps = (), *, empty: str = "", below: str = ""
) -> Panel:
    """One number, three columns wide; without steps it has no judgement and is blue. `empty` is told without data."""
    color = below or (GREEN if steps else BLUE)
    defaults: Json = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": thresholds(steps, color)}
    if empty:
        defaults["noValue"] = empty
    options: Json = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
        "wideLayout": True,
    }
    return Panel("stat", title, description, (Target(expr),), 3, 4, defaults, options)


def over_range(panel: Panel, text_mode: str = "auto") -> Panel:
    """A stat whose query already spans the whole range: asked once, without a line behind the number."""
    targets = tuple(replace(one, instant=True) for one in panel.targets)
    return replace(panel, targets=targets, options={**panel.options, "graphMode": "none", "textMode": text_mode})


def timeseries(
    title: str, description: str, targets: Sequence[Target], unit: str, *, empty: str, line: Steps = (), **custom: Any
) -> Panel:
    """Lines over time, half the width; `line` draws thresholds dashed, `custom` are the style's own fields."""
    style: Json = {
        "drawStyle": "line",
        "fillOpacity": 10 if not line else 0,
        "insertNulls": False,
        "lineWidth": 1,
        "scaleDistribution": {"type": "linear"},
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "none"},
        "thresholdsStyle": {"mode": "dashed" if line else "off"},
    }
    defaults: Json = {
        "unit": unit,
        "min": 0,
        "noValue": empty,
        "color": {"mode": "palette-classic"},
        "custom": {**style, **custom},
        "thresholds": thresholds(line, "transparent" if line else GREEN),
    }
    options: Json = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, description, tuple(targets), 12, 8, defaults, options)


STACKED: Final[Mapping[str, Any]] = {"stacking": {"group": "A", "mode": "normal"}, "fillOpacity": 30}
LOGARITHMIC: Final[Mapping[str, Any]] = {"scaleDistribution": {"log": 10, "type": "log"}, "fillOpacity": 0}
BARS: Final[Mapping[str, Any]] = {"drawStyle": "bars", "fillOpacity": 60, "stacking": STACKED["stacking"]}


def logarithmic(panel: Panel) -> Panel:
    """The same on a logarithmic scale, which has no 0."""
    custom: Json = {**panel.defaults["custom"], **LOGARITHMIC}
    kept: Json = {key: value for key, value in panel.defaults.items() if key != "min"}
    return replace(panel, defaults={**kept, "custom": custom})


def table(title: str, description: str, targets: Sequence[Target], *, empty: str, unit: str = "short") -> Panel:
    """A row for each set of labels, all columns wide."""
    defaults: Json = {
        "unit": unit,
        "noValue": empty,
        "color": {"mode": "thresholds"},
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
        "thresholds": thresholds(()),
    }
    options: Json = {"cellHeight": "sm", "showHeader": True, "sortBy": []}
    return Panel("table", title, description, tuple(targets), 24, 8, defaults, options)


def state_timeline(
    title: str, description: str, target: Target, states: Sequence[tuple[int, str, str]], *, empty: str
) -> Panel:
    """Which of `states` (value, text, colour) each series was in, and when."""
    told: Json = {str(value): {"text": text, "color": color, "index": value} for value, text, color in states}
    defaults: Json = {
        "noValue": empty,
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 70, "insertNulls": False, "lineWidth": 0, "spanNulls": False},
        "mappings": [{"type": "value", "options": told}],
        "thresholds": thresholds(()),
    }
    options: Json = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "perPage": 20,
        "rowHeight": 0.8,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel("state-timeline", title, description, (target,), 24, 8, defaults, options)


def bar_gauge(title: str, description: str, target: Target, *, empty: str) -> Panel:
    """A bar for each series, from 0 to 1."""
    defaults: Json = {
        "unit": "percentunit",
        "min": 0,
        "max": 1,
        "noValue": empty,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds((), BLUE),
    }
    options: Json = {
        "displayMode": "basic",
        "namePlacement": "auto",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    return Panel("bargauge", title, description, (target,), 12, 8, defaults, options)


def override(name: str, **properties: Any) -> Json:
    """Other settings for one column or series; `_` in a property's name stands for a dot."""
    listed: list[Json] = [{"id": key.replace("_", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def colored(name: str, color: str) -> Json:
    """A fixed colour for one series."""
    return override(name, color={"mode": "fixed", "fixedColor": color})


def unknown() -> Json:
    """Properties of a column in which a value may be missing: a dash, in no colour."""
    dash: Json = {"type": "special", "options": {"match": "null", "result": {"text": "-", "color": "text", "index": 0}}}
    return {"noValue": "-", "mappings": [dash]}
