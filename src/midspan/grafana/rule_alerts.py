"""What an alert is: a row with its query, its urgency and its words, made into a rule of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from midspan.grafana.options import OVERVIEW, Options
from midspan.grafana.rule_queries import NAME, TYPE
from midspan.grafana.yaml_text import Value

Severity = Literal["critical", "warning", "info"]

OPERATION: Final = f"{{{{ $labels.{TYPE} }}}} {{{{ $labels.{NAME} }}}}"
"""How a text names the kind of operation that an alert is about."""
ON_MODEL: Final = " on {{ $labels.gen_ai_provider_name }} {{ $labels.gen_ai_request_model }}"
WITH_MODEL: Final = f"{{{{ if $labels.gen_ai_request_model }}}}{ON_MODEL}{{{{ end }}}}"
RATIO: Final = "{{ $value | humanizePercentage }}"
DURATION: Final = "{{ $value | humanizeDuration }}"
COUNT: Final = '{{ $value | printf "%.0f" }}'


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. `wait` is how long the query must hold, `keep` how long it goes on after that."""

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    wait: str = ""
    keep: str = ""
    dashboard: str = OVERVIEW
    variables: tuple[str, ...] = ("job", "type", "operation")
    """Variables of the dashboard that are set from the alert's labels."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def rule(self, options: Options) -> dict[str, Value]:
        """The rule as Prometheus reads it."""
        waits = {"for": self.wait, "keep_firing_for": self.keep}
        return {
            "alert": self.name,
            "expr": self.expr,
            **{key: value for key, value in waits.items() if value},
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{options.runbooks_url}/{self.name}.md",
                "dashboard_url": self._link(options),
            },
        }

    def _link(self, options: Options) -> str:
        labels = {"job": options.job_label, "type": TYPE, "operation": NAME}
        query = "&".join(f"var-{name}={{{{ $labels.{labels[name]} | urlquery }}}}" for name in self.variables)
        return f"{options.grafana_url}/d/{self.dashboard}{'?' if query else ''}{query}"


def application(options: Options) -> str:
    """How a text names the application."""
    return f"{{{{ $labels.{options.job_label} }}}}"


def percent(share: float) -> str:
    """A share from 0 to 1 as a text."""
    return f"{share * 100:.3g}%"
