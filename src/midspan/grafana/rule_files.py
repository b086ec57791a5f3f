"""Everything that is written about alerts, by its path below `grafana/`."""

from __future__ import annotations

from midspan.grafana import rule_alertmanager, rule_runbooks, rules
from midspan.grafana.options import Options


def write(options: Options) -> dict[str, str]:
    """Path → text: the rules, the manifest, the example for Alertmanager, and the runbooks.

    The manifest is apart from the rules, so that `rule_files: [alerts/*.yaml]` does not meet it.
    """
    return {
        "alerts/midspan.yaml": rules.to_yaml(options),
        "kubernetes/prometheusrule.yaml": rules.prometheus_rule(options),
        "alertmanager.yml": rule_alertmanager.to_yaml(options),
        **{f"runbooks/{name}": text for name, text in rule_runbooks.write(options).items()},
    }
