"""Bedrock's jobs: batches of invocations, customizing, importing, copying and evaluating models, asynchronous calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from midspan_instrumentation.jobs._table import (
    ASKED,
    CREATED,
    LISTED,
    Ask,
    ErrorInfo,
    JobReading,
    JobTable,
    JobTarget,
    Poll,
    Status,
    unix,
)
from midspan_instrumentation.provider import replace
from midspan_instrumentation.providers._fields import field, fields_of, items, text, whole

_RUNNING = "Submitted Validating Scheduled InProgress Stopping Deleting"
STATES = {
    **dict.fromkeys(_RUNNING.split(), Status.RUNNING),
    "Completed": Status.COMPLETED,
    "PartiallyCompleted": Status.COMPLETED,
    "Failed": Status.FAILED,
    "Expired": Status.FAILED,
    "Stopped": Status.CANCELLED,
}
_SERVICES = ("bedrock", "bedrock-runtime")
_SIGHTS = {
    CREATED: re.compile("Create.*Job|StartAsyncInvoke"),
    ASKED: re.compile("(Get|Stop).*Job|GetAsyncInvoke"),
    LISTED: re.compile("List.*Jobs|ListAsyncInvokes"),
}
_SUMMARIES = re.compile(".*Summaries")
_KINDS = {
    "model-invocation-job": "batch",
    "model-customization-job": "fine_tuning",
    "model-import-job": "file_transfer",
    "model-copy-job": "file_transfer",
    "evaluation-job": "evaluation",
    "async-invoke": "video",
}
"""What a job's ARN says of it."""


def read(answer: object) -> Iterator[JobReading]:
    """What an operation of the API answers: a job, or summaries of some."""
    rows = fields_of(answer).items()
    for found in (answer, *(each for name, row in rows if _SUMMARIES.fullmatch(name) for each in items(row))):
        job_id = text(field(found, "jobArn")) or text(field(found, "invocationArn"))
        if job_id is not None:
            yield _read_job(job_id, found)


def _read_job(job_id: str, job: Any) -> JobReading:
    state = (
        text(field(job, "status")) or text(field(job, "jobStatus")) or "Submitted"
    )  # one that was just made has none
    model = text(field(job, "modelId")) or text(field(job, "baseModelArn")) or text(field(job, "modelArn"))
    message = text(field(job, "failureMessage")) or text(field(job, "message"))
    total = whole(field(job, "totalRecordCount"))
    return JobReading(
        id=job_id,
        state=state,
        stage=re.sub("(?<!^)(?=[A-Z])", "_", state).lower(),
        kind=_kind(job_id),
        model=None if model is None else model.rpartition("/")[2],
        succeeded=whole(field(job, "successRecordCount")) if total else None,
        failed=whole(field(job, "errorRecordCount")) if total else None,
        total=total or None,
        unit="record",
        created_at=unix(field(job, "submitTime") or field(job, "creationTime")),
        ended_at=unix(field(job, "endTime")),
        error=None if message is None else ErrorInfo(type=state, message=message),
    )


def _kind(arn: str) -> str:
    return next((kind for part, kind in _KINDS.items() if f":{part}/" in arn), "general")


def _read_how(instance: Any, operation_name: str, *_: object, **__: object) -> str | None:
    """Every call of every service of AWS passes here."""
    how = _sight(operation_name)
    return how if how is not None and instance.meta.service_model.service_name in _SERVICES else None


@lru_cache(maxsize=1_000)
def _sight(operation_name: str) -> str | None:
    return next((how for how, operations in _SIGHTS.items() if operations.fullmatch(operation_name)), None)


def _read_call(operation_name: object, api_params: object = None, **_rest: object) -> JobReading | None:
    names = ("jobIdentifier", "jobArn", "invocationArn")
    job_id = next((told for name in names if (told := text(field(api_params, name)))), None)
    if job_id is None:
        return None
    is_stopping = str(operation_name).startswith("Stop")
    return JobReading(
        job_id,
        kind=_kind(job_id),
        state="Stopping" if is_stopping else None,
        stage="stopping" if is_stopping else None,
    )


def _asks(operation: str, parameter: str = "jobIdentifier") -> tuple[Ask]:
    def ask(client: Any, job_id: str) -> Any:
        return getattr(client, operation)(**{parameter: job_id})

    return (ask,)


_CALLS = JobTarget("botocore.client", "BaseClient._make_api_call", read, _read_call, read_how=_read_how)
_AWAITED = replace(
    _CALLS, module="aiobotocore.client", qualname="AioBaseClient._make_api_call", is_async=True, optional=True
)

TABLE = JobTable(
    provider="aws.bedrock",
    states=STATES,
    read=read,
    targets=(_CALLS, _AWAITED),
    polls=(
        Poll("batch", "arn:.*:model-invocation-job/", _asks("get_model_invocation_job")),
        Poll("fine_tuning", "arn:.*:model-customization-job/", _asks("get_model_customization_job")),
        Poll("import", "arn:.*:model-import-job/", _asks("get_model_import_job"), "file_transfer"),
        Poll("copy", "arn:.*:model-copy-job/", _asks("get_model_copy_job", "jobArn"), "file_transfer"),
        Poll("evaluation", "arn:.*:evaluation-job/", _asks("get_evaluation_job")),
        Poll("video", "arn:.*:async-invoke/", _asks("get_async_invoke", "invocationArn")),
    ),
    client="boto3:client",
    client_arguments=("bedrock",),
)
