"""An example of Alertmanager's configuration: who is told, and which alert makes another one superfluous."""

from __future__ import annotations

from typing import Final

from midspan.grafana.options import ALERTS, Options
from midspan.grafana.rule_queries import NAME, TYPE, operation
from midspan.grafana.yaml_text import Value, dump

_HEAD: Final = """\
# Written by `midspan grafana export`: an example. The receivers `page` and `notify` are yours to change.
# `critical` alerts page, `warning` ones notify, `info` ones are only seen in Prometheus and Grafana.
"""
_RECEIVERS: Final = "http://127.0.0.1:9095"


def to_yaml(options: Options) -> str:
    """The configuration file."""
    return _HEAD + dump(config(options))


def config(options: Options) -> dict[str, Value]:
    """Routes by severity, and the inhibitions."""
    return {
        "route": {
            "receiver": "notify",
            "group_by": ["alertname", *operation(options)],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": ['severity="critical"'], "receiver": "page"},
                {"matchers": ['severity="info"'], "receiver": "nobody"},
            ],
        },
        "inhibit_rules": _inhibitions(options),
        "receivers": [_receiver("page"), _receiver("notify"), {"name": "nobody"}],
    }


def _inhibitions(options: Options) -> list[Value]:
    kind, process = operation(options), (options.job_label, options.instance_label, TYPE, NAME)
    return [
        _inhibition('severity="critical"', 'severity=~"warning|info"', "alertname", *kind),
        # On data younger than a day all windows see the same, and this one sees it, too.
        _inhibition(_named("ErrorBudgetBurn"), _named("FailureRatio"), *kind),
        _inhibition(_named("OperationPastDeadline"), _named("OperationWillMissDeadline"), *process),
        _inhibition(_named("OperationsLost"), _named("OperationStalled"), *process),
        _inhibition(_named("OperationsLost"), _named("NoTraffic"), options.job_label),
        _inhibition(_named("ScrapeDown"), _named("NoTraffic"), options.job_label),
    ]


def _named(alert: str) -> str:
    return f'alertname="{ALERTS}{alert}"'


def _inhibition(source: str, target: str, *equal: str) -> dict[str, Value]:
    ours = f'alertname=~"{ALERTS}.+"'
    return {"source_matchers": [source, ours], "target_matchers": [target, ours], "equal": [*equal]}


def _receiver(name: str) -> dict[str, Value]:
    return {"name": name, "webhook_configs": [{"url": f"{_RECEIVERS}/{name}"}]}
