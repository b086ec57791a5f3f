"""What Grafana reads at its start: where the dashboards are, and the data sources they ask."""

from __future__ import annotations

from typing import Final

from midspan.grafana.options import Options
from midspan.grafana.yaml_text import Value, dump

MOUNTED: Final = "/var/lib/grafana/dashboards/midspan"
"""Where the dashboards are to be found, as Grafana sees it: its own image has a place for them there."""
WRITTEN: Final = "# Written by `midspan grafana export`.\n"


def provisioning(options: Options) -> dict[str, str]:
    """The files of the provisioning folder, without the dashboards themselves."""
    return {
        "provisioning/dashboards/midspan.yaml": WRITTEN + dump(_provider(options)),
        "provisioning/datasources/midspan.yaml": WRITTEN + dump(_sources(options)),
    }


def _provider(options: Options) -> Value:
    provider: Value = {
        "name": "midspan",
        "folder": options.folder,
        "type": "file",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": MOUNTED},
    }
    return {"apiVersion": 1, "providers": [provider]}


def _sources(options: Options) -> Value:
    trace: Value = {"name": "trace_id", "datasourceUid": "tempo", "urlDisplayLabel": "Trace"}
    prometheus: Value = {
        "httpMethod": "POST",
        "timeInterval": "15s",
        "exemplarTraceIdDestinations": [trace],
    }
    field: Value = {
        "name": "trace_id",
        "matcherType": "label",
        "matcherRegex": "trace_id",
        # Grafana fills in variables of the environment: a doubled dollar stays one.
        "url": "$${__value.raw}",
        "datasourceUid": "tempo",
        "urlDisplayLabel": "Trace",
    }
    return {
        "apiVersion": 1,
        "datasources": [
            _source("prometheus", options.datasource or "Prometheus", "http://prometheus:9090", prometheus, first=True),
            _source("tempo", "Tempo", "http://tempo:3200", {"nodeGraph": {"enabled": True}}),
            _source("loki", "Loki", "http://loki:3100", {"derivedFields": [field]}),
        ],
    }


def _source(kind: str, name: str, url: str, settings: Value, *, first: bool = False) -> Value:
    return {
        "name": name,
        "type": kind,
        "uid": kind,
        "access": "proxy",
        "url": url,
        "isDefault": first,
        "jsonData": settings,
    }
