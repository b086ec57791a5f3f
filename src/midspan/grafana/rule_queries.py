"""The pieces that rules are written with: label sets, selectors, and the queries that several rules share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from midspan.core.operation import OperationType
from midspan.grafana.options import Options

TYPE: Final = "midspan_operation_type"
NAME: Final = "midspan_operation_name"
PROVIDER: Final = "gen_ai_provider_name"
MODEL: Final = "gen_ai_request_model"

ACTIVE: Final = "midspan_operation_active"
STARTED: Final = "midspan_operation_started_total"
ENDED: Final = "midspan_operation_ended_total"
FAILURES: Final = "midspan_operation_failures_total"
ATTEMPTS: Final = "midspan_attempts_total"
BUILD: Final = "midspan_build_info"

COUNTED: Final = f'{ENDED}{{midspan_status!="cancelled"}}'
"""What an error budget is made of: who cancels is not let down."""
BAD: Final = f'{ENDED}{{midspan_status=~"failed|lost"}}'

SHORT_TYPES: Final = frozenset({OperationType.LLM_REQUEST, OperationType.EMBEDDING})
"""Types that every deployment interrupts some of: none of these is ever called lost."""


def operation(options: Options) -> tuple[str, ...]:
    """The labels of one kind of operation of an application."""
    return options.job_label, TYPE, NAME


def label_set(options: Options) -> tuple[str, ...]:
    """The same with provider and model: all the labels that operations are counted by."""
    return *operation(options), PROVIDER, MODEL


def process(options: Options) -> tuple[str, ...]:
    """The same in one process of the application."""
    return options.job_label, options.instance_label, *label_set(options)[1:]


def by(labels: Iterable[str]) -> str:
    """A sum's grouping."""
    return f"sum by ({', '.join(labels)})"


def of_types(types: Iterable[str]) -> str:
    """A matcher of operation types."""
    return f'{TYPE}=~"{"|".join(types)}"'


def long_types(options: Options) -> tuple[str, ...]:
    """The critical types that are long enough to be lost."""
    return tuple(kind for kind in options.critical if kind not in SHORT_TYPES)


def risen(counter: str, labels: Iterable[str], window: str) -> str:
    """By how much `counter` has risen, where it has.

    A series that is born with its first count has not risen for Prometheus: what was not there before counts as it is.
    Before is five minutes long, because at one instant a series may be missing when a scrape has failed.
    """
    return f"""{by(labels)} (
  (increase({counter}[{window}]) > 0)
  or
  ({counter} unless last_over_time({counter}[5m] offset {window}))
) > 0"""
