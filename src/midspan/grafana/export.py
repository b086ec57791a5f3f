"""What `midspan grafana export` writes: every format is a set of files by their paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from midspan.grafana import rule_files, v2
from midspan.grafana.dashboards import classic, text
from midspan.grafana.options import Options
from midspan.grafana.provisioning import provisioning

Files = dict[str, str]

ON_KUBERNETES: Final = "kubernetes/"


def _classic(options: Options) -> Files:
    return {f"dashboards/{name}.json": text(one) for name, one in classic(options).items()} | _rules(options)


def _v2(options: Options) -> Files:
    manifests = {name: v2.manifest(one) for name, one in classic(options).items()}
    return {f"dashboards-v2/{name}.json": text(one) for name, one in manifests.items()} | _rules(options)


def _provisioning(options: Options) -> Files:
    dashboards = {f"dashboards/{name}.json": text(one) for name, one in classic(options).items()}
    return {**provisioning(options), **dashboards} | _rules(options)


def _rules(options: Options) -> Files:
    return {path: text for path, text in rule_files.write(options).items() if not path.startswith(ON_KUBERNETES)}


def _prometheus_rule(options: Options) -> Files:
    return {path: text for path, text in rule_files.write(options).items() if path.startswith(ON_KUBERNETES)}


FORMATS: Final[Mapping[str, Callable[[Options], Files]]] = {
    "classic": _classic,
    "v2": _v2,
    "provisioning": _provisioning,
    "prometheusrule": _prometheus_rule,
}
"""What can be exported: dashboards for Grafana 11 to 13, for 13's current schema, or for its provisioning folder, each
with the rules for Prometheus, an example for Alertmanager, and a runbook for each alert; or the rules alone for
Prometheus' operator on Kubernetes."""


def files(options: Options, name: str) -> Files:
    """The text of every file of a format, by its path. Raises KeyError for another name than those of `FORMATS`."""
    return FORMATS[name](options)
