"""A dashboard as the tests read it: its panels, its queries, and their variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql

from midspan.core.metrics import HISTOGRAMS, METRICS
from midspan.telemetry.live import LIVE
from midspan.telemetry.prometheus import exposed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
NAMES = ("overview", "operations", "failures", "midspan", "logs")

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    dashboard: str
    panel: Json
    target: Json

    @property
    def expr(self) -> str:
        return self.target["expr"]

    @property
    def place(self) -> str:
        return f"{self.dashboard} / {self.panel['title']} / {self.target['refId']}"


def committed(name: str) -> Json:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def panels(dashboard: Json) -> list[Json]:
    """The panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def links(panel: Json) -> list[Json]:
    """The links at its title and in its fields."""
    field = panel["fieldConfig"]
    of_fields = [one for each in field["overrides"] for one in each["properties"] if one["id"] == "links"]
    found = [*panel.get("links", []), *field["defaults"].get("links", [])]
    return found + [link for one in of_fields for link in one["value"]]


def queries(kind: str = "prometheus") -> list[Query]:
    """Every query of the committed dashboards to such a data source."""
    return [
        Query(name, panel, target)
        for name in NAMES
        for panel in panels(committed(name))
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


def filled(expr: str, window: str = "4s", span: str = "60s") -> str:
    """An expression as Grafana would send it with every variable at All."""
    fixed = {"__rate_interval": window, "__range": span, "__auto": "10s", "job": ".+", "instance": ".+", "id": ".+"}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: fixed.get(found[1], ".*"), expr)


def selectors(expr: str) -> Iterator[promql.VectorSelector]:
    """Every selector of an expression."""
    yield from _selectors(promql.parse(filled(expr)))


def _selectors(node: Any) -> Iterator[promql.VectorSelector]:
    if isinstance(node, promql.VectorSelector):
        yield node
    elif isinstance(node, promql.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql.BinaryExpr):
        yield from _selectors(node.lhs)
        yield from _selectors(node.rhs)
    elif isinstance(node, promql.Call):
        for one in node.args:
            yield from _selectors(one)
    elif isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        yield from _selectors(node.expr)


def known() -> dict[str, set[str]]:
    """Every name that midspan shows to Prometheus, with its labels."""
    found = {
        exposed(row.name, row.unit) + ("_total" if row.kind == "counter" else ""): set(map(exposed, row.labels))
        for row in (*METRICS, *LIVE)
    }
    for row in HISTOGRAMS:
        labels = set(map(exposed, row.labels))
        name = exposed(row.name, row.unit)
        found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
    return found | {"midspan_build_info": {"version", "python"}}
