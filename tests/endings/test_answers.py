"""Every way in which a call without a stream can end, for every target of every provider, sync and async."""

from __future__ import annotations

import asyncio

import pytest

from midspan.core.operation import Status
from tests.endings import reading
from tests.endings.seen import async_run, check_error, instrumented, sync_run
from tests.fakes.openai_calls import ANSWERS, Case, Opened
from tests.fakes.openai_server import FakeOpenAI

COMPLETED, FAILED = Status.COMPLETED, Status.FAILED


async def aget(call: Opened) -> str:
    return type(await call()).__name__


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("model", "status"), [("ok", COMPLETED), ("refused", FAILED), ("cut", FAILED)])
@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_an_unstreamed_call_ends_once_and_rightly(
    case: Case, model: str, status: Status, is_async: bool, server: FakeOpenAI
) -> None:
    def run() -> object:
        if is_async:
            return async_run(case, model, aget, server.base_url)
        return sync_run(case, model, lambda call: type(call()).__name__, server.base_url)

    expected = run()
    with instrumented() as midspan:
        assert expected == run()
        operation = midspan.the_only_operation()
    assert status == operation.status
    if status is FAILED:
        check_error(operation, expected)


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_cancelled_task_ends_its_call_as_cancelled(case: Case, server: FakeOpenAI) -> None:
    async def cancel_call(call: Opened) -> None:
        task = asyncio.ensure_future(call())
        await reading.until(lambda: midspan.has_stage("sending_request"))
        task.cancel()
        await task

    with instrumented() as midspan:
        seen = async_run(case, "silent", cancel_call, server.base_url)
        operation = midspan.the_only_operation()
    assert (asyncio.CancelledError, "") == seen
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "task cancelled")
