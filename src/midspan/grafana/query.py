"""PromQL in the terms of the dashboards' variables."""

from __future__ import annotations

from typing import Final

from midspan.grafana.options import Options

TYPE: Final = "midspan_operation_type"
NAME: Final = "midspan_operation_name"
PROVIDER: Final = "gen_ai_provider_name"
MODEL: Final = "gen_ai_request_model"
STATUS: Final = "midspan_status"
STAGE: Final = "midspan_stage"
ERROR: Final = "error_type"
TOKENS: Final = "gen_ai_token_type"
ID: Final = "operation_id"

OPERATION: Final = (TYPE, NAME)
OPERATION_LEGEND: Final = f"{{{{{NAME}}}}} ({{{{{TYPE}}}}})"
MODEL_LEGEND: Final = f"{{{{{MODEL}}}}}"

WINDOW: Final = "$__rate_interval"
RANGE: Final = "$__range"

BAD: Final = 'midspan_status=~"failed|lost"'
COUNTED: Final = 'midspan_status=~"completed|failed|lost"'
"""What the SLO is about: an operation that was cancelled was neither kept nor broken."""
CALLS: Final = f'{TYPE}=~"llm_request|embedding"'
NO_CALLS: Final = f'{TYPE}!~"llm_request|embedding"'

OF_PROVIDERS: Final = f'{PROVIDER}!=""'

COMMON: Final = {TYPE: "type", NAME: "operation", PROVIDER: "provider", MODEL: "model"}
"""The common labels, each with the variable that chooses it."""


class Queries:
    """Writes expressions for one set-up; every selector follows the variables at the top of the dashboard."""

    def __init__(self, options: Options) -> None:
        self.job = options.job_label
        self.instance = options.instance_label
        self.scope = f'{self.job}=~"$job", {self.instance}=~"$instance"'

    def of(self, metric: str, *matchers: str) -> str:
        """The series of a metric with the common labels."""
        chosen = (f'{label}=~"${variable}"' for label, variable in COMMON.items())
        return self.process(metric, *chosen, *matchers)

    def process(self, metric: str, *matchers: str) -> str:
        """The series of a metric of a whole process."""
        return f"{metric}{{{', '.join((self.scope, *matchers))}}}"

    def ours(self, expression: str) -> str:
        """What of `expression` comes from a process that midspan is in, or was in an hour ago."""
        processes = f"group by ({self.job}, {self.instance}) (last_over_time({self.process('midspan_build_info')}[1h]))"
        return f"{expression} and on ({self.job}, {self.instance}) {processes}"

    def failure_ratio(self, window: str, *by: str) -> str:
        """Failed and lost of all that count, over `window`; nothing where nothing has ended."""
        bad = total(f"rate({self.of('midspan_operation_ended_total', BAD)}[{window}])", *by)
        counted = total(f"rate({self.of('midspan_operation_ended_total', COUNTED)}[{window}])", *by)
        return f"{bad} / ({counted} > 0)"

    def quantile(self, share: float, histogram: str, by: tuple[str, ...], *matchers: str) -> str:
        """A quantile of a histogram in seconds."""
        buckets = f"rate({self.of(f'{histogram}_bucket', *matchers)}[{WINDOW}])"
        return f"histogram_quantile({share:g}, {total(buckets, *by, 'le')})"

    def grown(self, metric: str, window: str, by: tuple[str, ...], *matchers: str) -> str:
        """By how much a counter with the common labels has grown over `window`."""
        return total(grown(self.of(metric, *matchers), window), *by)

    def silence(self) -> str:
        """Seconds since the longest-ago last progress, for each set of labels that has something running."""
        return f"(time() - {self.of('midspan_operation_oldest_progress_timestamp_seconds')})"


def grown(series: str, window: str) -> str:
    """By how much counters have grown over `window`; one that was born in it counts from 0.

    It was not there in the five minutes before: at one instant it may be missing because a scrape has failed.
    """
    return f"({series} unless last_over_time({series}[5m] offset {window})) or increase({series}[{window}])"


def total(expression: str, *by: str) -> str:
    """The sum over everything but the labels `by`."""
    return aggregated("sum", expression, *by)


def aggregated(how: str, expression: str, *by: str) -> str:
    """`sum by (a, b) (…)`, or `sum(…)`."""
    return f"{how} by ({', '.join(by)}) ({expression})" if by else f"{how}({expression})"


def or_zero(expression: str) -> str:
    """Zero where there is nothing to count yet."""
    return f"{expression} or vector(0)"
