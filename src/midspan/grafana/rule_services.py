"""Alerts about an application as a whole: its failures in sum, its traffic, its scrapes, and midspan itself."""

from __future__ import annotations

from typing import NamedTuple

from midspan.grafana.options import EXPORTER, SLO, Options
from midspan.grafana.rule_alerts import OPERATION, RATIO, Alert, Severity, application, percent
from midspan.grafana.rule_queries import ACTIVE, BUILD, COUNTED, STARTED, by, operation, risen
from midspan.grafana.rule_records import failed_ratio


class Burn(NamedTuple):
    """How fast a budget may burn: `factor` times as fast as it lasts, over a long and a short window."""

    long: str
    short: str
    factor: float
    wait: str
    severity: Severity


BURNS = (
    Burn("1h", "5m", 14.4, "2m", "critical"),
    Burn("6h", "30m", 6, "15m", "critical"),
    Burn("1d", "2h", 3, "1h", "warning"),
    Burn("3d", "6h", 1, "3h", "warning"),
)
"""Multiwindow, multi-burn-rate alerts, after chapter 5 of Google's SRE workbook."""


def failure_ratio(options: Options) -> Alert:
    """More fails than usual, and not only a few."""
    return Alert(
        "MidspanFailureRatio",
        "warning",
        f"""{failed_ratio("5m")} > {options.thresholds.failure_ratio:g}
and
{by(operation(options))} (increase({COUNTED}[5m])) > 20""",
        f"{OPERATION} fails often in {application(options)}",
        f"{RATIO} of {OPERATION} of {application(options)} have failed for 5 minutes;"
        f" the limit is {percent(options.thresholds.failure_ratio)}.",
        wait="5m",
        dashboard=SLO,
    )


def budget_burns(options: Options) -> list[Alert]:
    """An alert for each speed that this budget can burn at."""
    return [_burn(options, burn) for burn in BURNS if burn.factor * options.budget < 1]


def _burn(options: Options, burn: Burn) -> Alert:
    limit = f"{burn.factor:g} * {options.budget:g}"
    return Alert(
        "MidspanErrorBudgetBurn",
        burn.severity,
        f"""{failed_ratio(burn.long)} > {limit}
and
{failed_ratio(burn.short)} > {limit}
and
{by(operation(options))} (increase({COUNTED}[{burn.long}])) > 10""",
        f"{OPERATION} uses up its error budget in {application(options)}",
        f"{RATIO} of {OPERATION} of {application(options)} have failed within {burn.long}:"
        f" at least {burn.factor:g} times the {percent(options.budget)} that may.",
        wait=burn.wait,
        dashboard=SLO,
        labels={"long": burn.long, "short": burn.short},
    )


def no_traffic(options: Options) -> Alert:
    """An application that has been busy starts nothing any more, and nothing runs."""
    total = by((options.job_label,))
    return Alert(
        "MidspanNoTraffic",
        "info",
        f"""{total} (increase({STARTED}[6h])) > 10
and
{total} (increase({STARTED}[30m])) == 0
and
{total} ({ACTIVE}) == 0""",
        f"{application(options)} starts no operations any more",
        f'{application(options)} has started {{{{ $value | printf "%.0f" }}}} operations within 6 hours,'
        " and none within the last 30 minutes.",
        wait="5m",
        variables=("job",),
    )


def scrape_down() -> Alert:
    """Prometheus cannot read an application that shows midspan's metrics. A scrape's own labels are always these."""
    return Alert(
        "MidspanScrapeDown",
        "warning",
        f"up == 0\nand on (job)\nlast_over_time({BUILD}[1d])",
        "Prometheus cannot read {{ $labels.job }} on {{ $labels.instance }}",
        "The scrapes of {{ $labels.job }} on {{ $labels.instance }} have failed for 2 minutes:"
        " what runs there is not seen.",
        wait="2m",
        dashboard=EXPORTER,
        variables=(),
    )


def internal_errors(options: Options) -> Alert:
    """A part of midspan has failed; the application goes on."""
    labels = options.job_label, options.instance_label, "midspan_component"
    return Alert(
        "MidspanInternalErrors",
        "warning",
        risen("midspan_internal_errors_total", labels, "15m"),
        f"midspan's {{{{ $labels.midspan_component }}}} fails in {application(options)}",
        f'midspan\'s {{{{ $labels.midspan_component }}}} has failed {{{{ $value | printf "%.0f" }}}} times within'
        f" 15 minutes on {{{{ $labels.{options.instance_label} }}}}. The application is not affected;"
        " its log has the first traceback.",
        dashboard=EXPORTER,
        variables=("job",),
    )
