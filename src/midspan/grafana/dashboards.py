"""All dashboards, by the name of the file that each is written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from midspan.grafana import exporter, failures, logs, operations, overview
from midspan.grafana.dashboard import Dashboard
from midspan.grafana.options import Options
from midspan.grafana.panel import Json

DASHBOARDS: Final[Mapping[str, Callable[[Options], Dashboard]]] = {
    "overview": overview.build,
    "operations": operations.build,
    "failures": failures.build,
    "midspan": exporter.build,
    "logs": logs.build,
}


def classic(options: Options) -> dict[str, Json]:
    """Every dashboard in the classic schema, by its name."""
    return {name: build(options).json() for name, build in DASHBOARDS.items()}


def text(document: Json) -> str:
    """A document as it stands in a file: the same bytes every time."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
