"""Recording and alerting rules: for Prometheus as a rule file, for its operator on Kubernetes as a manifest."""

from __future__ import annotations

from typing import Final

from midspan.grafana import rule_operations, rule_records, rule_services
from midspan.grafana.options import Options
from midspan.grafana.rule_alerts import Alert
from midspan.grafana.rule_queries import long_types
from midspan.grafana.yaml_text import Value, dump

WRITTEN: Final = "# Written by `midspan grafana export`. Do not edit: export again.\n"


def alerts(options: Options) -> list[Alert]:
    """All alerts of one set-up, in the order of the file."""
    return [
        rule_operations.operation_failed(options),
        rule_operations.operation_stalled(options),
        rule_operations.past_deadline(options),
        rule_operations.will_miss_deadline(options),
        *([rule_operations.operations_lost(options)] if long_types(options) else []),
        rule_operations.slow_first_chunk(options),
        rule_operations.retry_storm(options),
        rule_services.failure_ratio(options),
        *rule_services.budget_burns(options),
        rule_services.no_traffic(options),
        rule_services.scrape_down(),
        rule_services.internal_errors(options),
    ]


def build(options: Options) -> list[dict[str, Value]]:
    """The groups of a rule file: what is recorded, and what alerts."""
    rules: Value = [alert.rule(options) for alert in alerts(options)]
    return [*rule_records.groups(options), {"name": "midspan-alerts", "rules": rules}]


def to_yaml(options: Options) -> str:
    """The rule file of Prometheus."""
    return WRITTEN + dump({"groups": build(options)})


def prometheus_rule(options: Options, name: str = "midspan") -> str:
    """The same rules as a `PrometheusRule` of the Prometheus operator."""
    manifest: Value = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name}},
        "spec": {"groups": build(options)},
    }
    return WRITTEN + dump(manifest)
