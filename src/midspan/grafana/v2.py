"""Classic dashboards as manifests of `dashboard.grafana.app/v2`, the schema that Grafana 13 keeps them in.

After the types of `@grafana/schema` 13.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from midspan.grafana.panel import Json

REFRESH: Final = ("never", "onDashboardLoad", "onTimeRangeChanged")
SORT: Final = ("disabled", "alphabeticalAsc")
CURSOR: Final = ("Off", "Crosshair", "Tooltip")
NOT_IN_QUERY: Final = ("refId", "datasource")


def manifest(classic: Json) -> Json:
    """The manifest of a dashboard of ours in the classic schema."""
    return {
        "apiVersion": "dashboard.grafana.app/v2",
        "kind": "Dashboard",
        "metadata": {"name": classic["uid"]},
        "spec": spec(classic),
    }


def spec(classic: Json) -> Json:
    """What stands in the manifest."""
    return {
        "title": classic["title"],
        "description": classic["description"],
        "tags": classic["tags"],
        "editable": classic["editable"],
        "cursorSync": CURSOR[classic["graphTooltip"]],
        "liveNow": classic["liveNow"],
        "preload": False,
        "links": classic["links"],
        "annotations": [_annotation(one) for one in classic["annotations"]["list"]],
        "variables": [_variable(one) for one in classic["templating"]["list"]],
        "timeSettings": _time(classic),
        "elements": {_name(one): _element(one) for one in classic["panels"] if one["type"] != "row"},
        "layout": {"kind": "RowsLayout", "spec": {"rows": list(_rows(classic["panels"]))}},
    }


def _time(classic: Json) -> Json:
    return {
        "from": classic["time"]["from"],
        "to": classic["time"]["to"],
        "timezone": classic["timezone"],
        "autoRefresh": classic["refresh"],
        "autoRefreshIntervals": ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h"],
        "fiscalYearStartMonth": classic["fiscalYearStartMonth"],
        "hideTimepicker": False,
    }


# --- panels and where they stand --------------------------------------------------------------------


def _name(panel: Json) -> str:
    return f"panel-{panel['id']}"


def _element(panel: Json) -> Json:
    data: Json = {
        "queries": [_panel_query(one) for one in panel["targets"]],
        "transformations": [_transformation(one) for one in panel.get("transformations", ())],
        "queryOptions": {},
    }
    shown: Json = {"options": panel["options"], "fieldConfig": panel["fieldConfig"]}
    return {
        "kind": "Panel",
        "spec": {
            "id": panel["id"],
            "title": panel["title"],
            "description": panel["description"],
            "links": panel.get("links", []),
            "data": {"kind": "QueryGroup", "spec": data},
            "vizConfig": {"kind": "VizConfig", "group": panel["type"], "version": "", "spec": shown},
        },
    }


def _panel_query(target: Json) -> Json:
    asked = {key: value for key, value in target.items() if key not in NOT_IN_QUERY}
    query = _query(target["datasource"], asked)
    return {"kind": "PanelQuery", "spec": {"query": query, "refId": target["refId"], "hidden": False}}


def _query(source: Mapping[str, str], asked: Json) -> Json:
    return {
        "kind": "DataQuery",
        "group": source["type"],
        "version": "v0",
        "datasource": {"name": source["uid"]},
        "spec": asked,
    }


def _transformation(one: Json) -> Json:
    return {"kind": "Transformation", "group": one["id"], "spec": {"options": one["options"]}}


def _rows(panels: Sequence[Json]) -> Iterator[Json]:
    heads = [index for index, panel in enumerate(panels) if panel["type"] == "row"]
    for start, end in zip(heads, [*heads[1:], len(panels)], strict=True):
        head, inside = panels[start], panels[start + 1 : end]
        top = head["gridPos"]["y"] + 1
        grid = {"kind": "GridLayout", "spec": {"items": [_item(panel, top) for panel in inside]}}
        yield {"kind": "RowsLayoutRow", "spec": {"title": head["title"], "collapse": False, "layout": grid}}


def _item(panel: Json, top: int) -> Json:
    place = panel["gridPos"]
    spec: Json = {
        "x": place["x"],
        "y": place["y"] - top,
        "width": place["w"],
        "height": place["h"],
        "element": {"kind": "ElementReference", "name": _name(panel)},
    }
    return {"kind": "GridLayoutItem", "spec": spec}


# --- variables and annotations ----------------------------------------------------------------------


def _variable(classic: Json) -> Json:
    return {"datasource": _datasource, "query": _chooser, "textbox": _text}[classic["type"]](classic)


def _common(classic: Json) -> Json:
    found: Json = {
        "name": classic["name"],
        "label": classic["label"],
        "current": _current(classic["current"]),
        "hide": "dontHide",
        "skipUrlSync": classic["skipUrlSync"],
    }
    return found | ({"description": classic["description"]} if "description" in classic else {})


def _current(classic: Json) -> Json:
    return {"text": classic.get("text", ""), "value": classic.get("value", "")}


def _several(classic: Json) -> Json:
    kept = ("regex", "options", "multi", "includeAll")
    more: dict[str, Any] = {"refresh": REFRESH[classic["refresh"]], "allowCustomValue": True}
    return {**{key: classic[key] for key in kept}, **more}


def _datasource(classic: Json) -> Json:
    more: Json = {"pluginId": classic["query"]}
    return {"kind": "DatasourceVariable", "spec": {**_common(classic), **_several(classic), **more}}


def _chooser(classic: Json) -> Json:
    more: Json = {
        "query": _query(classic["datasource"], classic["query"]),
        "definition": classic["definition"],
        "allValue": classic["allValue"],
        "sort": SORT[classic["sort"]],
    }
    return {"kind": "QueryVariable", "spec": {**_common(classic), **_several(classic), **more}}


def _text(classic: Json) -> Json:
    return {"kind": "TextVariable", "spec": {**_common(classic), "query": classic["query"]}}


def _annotation(classic: Json) -> Json:
    asked = {key: classic[key] for key in ("expr", "step", "titleFormat", "textFormat")}
    return {
        "kind": "AnnotationQuery",
        "spec": {
            "query": _query(classic["datasource"], asked),
            "enable": classic["enable"],
            "hide": classic["hide"],
            "iconColor": classic["iconColor"],
            "name": classic["name"],
        },
    }
