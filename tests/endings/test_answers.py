"""Every way in which a call without a stream can end, for every target of every provider, sync and async."""

from __future__ import annotations

import asyncio

import pytest

from midspan.core.operation import Status
from tests.endings import reading
from tests.endings.conftest import UrlOf
from tests.endings.seen import async_run, check_error, instrumented, sync_run
from tests.fakes.sdk import Case, Opened
from tests.fakes.sdks import ANSWERS, ASYNC_ANSWERS

COMPLETED, FAILED = Status.COMPLETED, Status.FAILED


async def aget(call: Opened) -> str:
    return type(await call()).__name__


KINDS = {"sync": ANSWERS, "async": ASYNC_ANSWERS}
WAYS = [pytest.param(case, kind == "async", id=f"{case}-{kind}") for kind, cases in KINDS.items() for case in cases]


# Of several requests at once the others are still under way when one has failed.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(("model", "status"), [("ok", COMPLETED), ("refused", FAILED), ("cut", FAILED)])
@pytest.mark.parametrize(("case", "is_async"), WAYS)
def test_an_unstreamed_call_ends_once_and_rightly(
    case: Case, model: str, status: Status, is_async: bool, url_of: UrlOf
) -> None:
    def run() -> object:
        if is_async:
            return async_run(case, model, aget, url_of(case))
        return sync_run(case, model, lambda call: type(call()).__name__, url_of(case))

    expected = run()
    with instrumented() as midspan:
        assert expected == run()
        operation = midspan.the_only_operation()
    if model == "cut" and isinstance(expected, str):
        # botocore takes half an answer for an empty one.
        status = COMPLETED
    assert status == operation.status
    if status is FAILED:
        check_error(operation, case, expected)


@pytest.mark.parametrize("case", ASYNC_ANSWERS, ids=str)
def test_a_cancelled_task_ends_its_call_as_cancelled(case: Case, url_of: UrlOf) -> None:
    async def cancel_call(call: Opened) -> None:
        task = asyncio.ensure_future(call())
        await reading.until(lambda: midspan.has_stage("waiting_first_chunk"))
        task.cancel()
        await task

    with instrumented() as midspan:
        seen = async_run(case, "silent", cancel_call, url_of(case))
        operation = midspan.the_only_operation()
    assert (asyncio.CancelledError, "") == seen
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "task cancelled")
