"""Alerts about operations: one failed, stands still, comes too late or is gone; calls are slow or retried."""

from __future__ import annotations

from midspan.grafana.options import OPERATIONS, SLO, Options
from midspan.grafana.rule_alerts import COUNT, DURATION, OPERATION, RATIO, WITH_MODEL, Alert, application
from midspan.grafana.rule_queries import (
    ACTIVE,
    ATTEMPTS,
    ENDED,
    FAILURES,
    MODEL,
    PROVIDER,
    STARTED,
    by,
    label_set,
    long_types,
    of_types,
    process,
    risen,
)
from midspan.grafana.rule_records import FIRST_CHUNK

SILENT_AFTER = 120
"""Seconds without a report after which the application's own verdict on its stalls is not waited for: two pushes."""


def operation_failed(options: Options) -> Alert:
    """One operation of a critical type has failed; the first failure ever counts."""
    labels = *label_set(options), "error_type"
    return Alert(
        "MidspanOperationFailed",
        "warning",
        risen(f"{FAILURES}{{{of_types(options.critical)}}}", labels, "5m"),
        f"{OPERATION} failed in {application(options)}: {{{{ $labels.error_type }}}}",
        f"{COUNT} {OPERATION} of {application(options)}{WITH_MODEL} failed within 5 minutes"
        " with {{ $labels.error_type }}.",
        keep="5m",
        dashboard=SLO,
    )


def operation_stalled(options: Options) -> Alert:
    """Nothing has moved for longer than the type's own limit; the value is the seconds of silence."""
    own = ", ".join(process(options))
    silence = f"max by ({own}) (time() - midspan_operation_oldest_progress_timestamp_seconds)"
    return Alert(
        "MidspanOperationStalled",
        "warning",
        f"""(
  {silence}
  and
  {by(process(options))} (midspan_operation_stalled) > 0
)
or
(
  {silence}
  > max by ({own}) (midspan_operation_stall_after_seconds)
  and
  max by ({own}) (time() - timestamp(midspan_operation_stalled)) > {SILENT_AFTER}
)""",
        f"{OPERATION} stands still in {application(options)}",
        f"An operation {OPERATION} of {application(options)} on"
        f" {{{{ $labels.{options.instance_label} }}}}{WITH_MODEL} has made no progress for {DURATION}.",
        dashboard=OPERATIONS,
    )


def past_deadline(options: Options) -> Alert:
    """A running operation's deadline is over."""
    return Alert(
        "MidspanOperationPastDeadline",
        "warning",
        f"{by(process(options))} (midspan_operation_past_deadline) > 0",
        f"{OPERATION} is past its deadline in {application(options)}",
        f"{COUNT} running {OPERATION} of {application(options)} on {{{{ $labels.{options.instance_label} }}}}"
        " are past their deadline.",
        dashboard=OPERATIONS,
    )


def will_miss_deadline(options: Options) -> Alert:
    """The estimate lies beyond a deadline that is still to come; the value is the seconds that it will be late."""
    deadline = "midspan_live_operation_deadline_timestamp_seconds"
    return Alert(
        "MidspanOperationWillMissDeadline",
        "warning",
        f"midspan_live_operation_eta_timestamp_seconds - {deadline} > 0\nand\n{deadline} > time()",
        f"{OPERATION} will miss its deadline in {application(options)}",
        f"{OPERATION} {{{{ $labels.operation_id }}}} of {application(options)} is expected"
        f" {DURATION} after its deadline.",
        wait="5m",
        dashboard=OPERATIONS,
    )


def operations_lost(options: Options) -> Alert:
    """Long operations whose process has gone, has begun anew, or has given them up; the value is how many."""
    long, total = of_types(long_types(options)), by(process(options))
    start, where = "process_start_time_seconds", f"{options.job_label}, {options.instance_label}"
    return Alert(
        "MidspanOperationsLost",
        "critical",
        f"""(
  {total} ((last_over_time({ACTIVE}{{{long}}}[10m]) > 0) unless {ACTIVE}{{{long}}})
)
or
(
  {total} (max_over_time({STARTED}{{{long}}}[2m])) - {total} (max_over_time({ENDED}{{{long}}}[2m])) > 0
  and
  {total} ({ACTIVE}{{{long}}} offset 2m) > 0
  and on ({where})
  {start} > {start} offset 2m
)
or
(
  {total} (increase({ENDED}{{midspan_status="lost", {long}}}[5m])) > 0
)""",
        f"{OPERATION} lost in {application(options)}",
        f"{COUNT} {OPERATION} of {application(options)} were running on"
        f" {{{{ $labels.{options.instance_label} }}}}{WITH_MODEL} when it went away.",
        wait=f"{options.thresholds.lost_after:g}s" if options.thresholds.lost_after else "",
        dashboard=OPERATIONS,
    )


def slow_first_chunk(options: Options) -> Alert:
    """Answers take long to begin, and not only a few of them."""
    limit = options.thresholds.first_chunk
    return Alert(
        "MidspanSlowFirstChunk",
        "warning",
        f"""{FIRST_CHUNK} > {limit:g}
and
{by(label_set(options))} (increase(midspan_time_to_first_chunk_seconds_count[5m])) > 20""",
        f"Answers begin late in {application(options)}{WITH_MODEL}",
        f"One in twenty answers to {OPERATION} of {application(options)}{WITH_MODEL} begins after {DURATION} or later;"
        f" the limit is {limit:g}s.",
        wait="10m",
    )


def retry_storm(options: Options) -> Alert:
    """Most attempts fail; the value is their share."""
    labels = options.job_label, PROVIDER, MODEL
    failed, total = f'{ATTEMPTS}{{error_type!=""}}', by(labels)
    return Alert(
        "MidspanRetryStorm",
        "warning",
        f"""{total} (rate({failed}[5m])) / {total} (rate({ATTEMPTS}[5m])) > {options.thresholds.retry_ratio:g}
and
{total} (increase({failed}[5m])) > 20""",
        f"Most attempts fail in {application(options)}{WITH_MODEL}",
        f"{RATIO} of the attempts of {application(options)}{WITH_MODEL} have failed for 5 minutes.",
        wait="5m",
        variables=("job",),
    )
