"""Every way in which a stream can end, for every target of every provider, sync and async.

One operation, one span, ended once, with the right status and reason, nothing left running, and the application sees
what it would have seen without midspan.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation, Status
from tests.endings import reading
from tests.endings.seen import Seen, async_run, check_error, instrumented, outcome, sync_run
from tests.fakes.openai_calls import ANSWERS, STREAMS, Case, Opened, open_async_client
from tests.fakes.openai_server import FakeOpenAI


def test_the_matrix_has_every_provider() -> None:
    assert {case.provider for case in (*STREAMS, *ANSWERS)} == set(instrumentation.PROVIDERS)


@dataclass(frozen=True)
class Ending:
    """How a stream is ended: by what the application does, and by what the server does."""

    name: str
    model: str
    read: Callable[[Opened], object]
    aread: Callable[[Opened], Awaitable[object]]
    status: Status
    reason: str | None = None

    def __str__(self) -> str:
        return self.name


CANCELLED, COMPLETED, FAILED = Status.CANCELLED, Status.COMPLETED, Status.FAILED
r = reading
ENDINGS = (
    Ending("exhausted", "ok", r.read_all, r.aread_all, COMPLETED),
    Ending("cut at the token limit", "limited", r.read_all, r.aread_all, COMPLETED),
    Ending("read as bytes", "ok", r.read_bytes, r.aread_bytes, COMPLETED),
    Ending("break in with", "ok", r.break_in_with, r.abreak_in_with, CANCELLED, "closed early"),
    Ending("raise in with", "ok", r.raise_in_with, r.araise_in_with, CANCELLED, "closed early"),
    Ending("exit in with", "ok", r.exit_in_with, r.aexit_in_with, CANCELLED, "SystemExit"),
    Ending("interrupt in with", "ok", r.interrupt_in_with, r.ainterrupt_in_with, CANCELLED, "interrupted"),
    Ending("break, close", "ok", r.break_and_close, r.abreak_and_close, CANCELLED, "closed early"),
    Ending("never read, close", "ok", r.close_unread, r.aclose_unread, CANCELLED, "closed early"),
    Ending("response closed", "ok", r.close_the_response, r.aclose_the_response, CANCELLED, "closed early"),
    Ending("break, drop", "ok", r.break_and_drop, r.abreak_and_drop, CANCELLED, "dropped"),
    Ending("never read, drop", "ok", r.never_read, r.anever_read, CANCELLED, "dropped"),
    Ending("provider error", "refused", r.read_all, r.aread_all, FAILED),
    Ending("connection lost", "cut", r.read_all, r.aread_all, FAILED),
    Ending("read elsewhere", "ok", r.read_in_another_thread, r.aread_in_another_task, COMPLETED),
    Ending("read on elsewhere", "ok", r.read_on_in_another_thread, r.aread_on_in_another_task, COMPLETED),
    Ending("lost elsewhere", "cut", r.read_in_another_thread, r.aread_in_another_task, FAILED),
    Ending("closed elsewhere", "ok", r.close_in_another_thread, r.aclose_in_another_task, CANCELLED, "closed early"),
)


def check(ending: Ending, operation: Operation, seen: object) -> None:
    assert (ending.status, ending.reason) == (operation.status, operation.status_reason)
    if ending.status is FAILED:
        check_error(operation, seen)


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_ends_once_and_rightly(case: Case, ending: Ending, server: FakeOpenAI) -> None:
    expected = sync_run(case, ending.model, ending.read, server.base_url)
    with instrumented() as midspan:
        assert expected == sync_run(case, ending.model, ending.read, server.base_url)
        check(ending, midspan.the_only_operation(), expected)


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_an_async_stream_ends_once_and_rightly(case: Case, ending: Ending, server: FakeOpenAI) -> None:
    expected = async_run(case, ending.model, ending.aread, server.base_url)
    with instrumented() as midspan:
        assert expected == async_run(case, ending.model, ending.aread, server.base_url)
        check(ending, midspan.the_only_operation(), expected)


# `silent`: it ends while the application waits for the headers; `hanging`: in mid-stream.
waiting = pytest.mark.parametrize(
    ("model", "stage"), [("silent", "sending_request"), ("hanging", "streaming_response")], ids=["waiting", "streaming"]
)
Stop = Callable[[Opened, Callable[[], bool]], Awaitable[None]]


@waiting
@pytest.mark.parametrize(
    ("stop", "error"), [(r.cancel, asyncio.CancelledError), (r.time_out, TimeoutError)], ids=["cancel", "timeout"]
)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_cancelled_or_timed_out_task_ends_its_stream_as_cancelled(
    case: Case, model: str, stage: str, stop: Stop, error: type[BaseException], server: FakeOpenAI
) -> None:
    with instrumented() as midspan:
        seen = async_run(case, model, lambda call: stop(call, lambda: midspan.has_stage(stage)), server.base_url)
        operation = midspan.the_only_operation()
    assert (error, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "task cancelled")


def waits_for_the_server() -> bool:
    """The main thread is in the HTTP client or the event loop: not in a scrape, which would leave its files open."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return any(name in frame.f_code.co_filename for name in ("httpcore", "selectors"))


def interrupted(midspan: Seen, stage: str, run: Callable[[], object]) -> object:
    """Runs until the operation is in a stage, then has the user press Ctrl+C."""
    done = threading.Event()

    def press() -> None:
        while not done.wait(0.002):
            if midspan.has_stage(stage) and waits_for_the_server():
                os.kill(os.getpid(), signal.SIGINT)
                return

    presser = threading.Thread(target=press)
    presser.start()
    try:
        return outcome(run)
    finally:
        done.set()
        presser.join()


@waiting
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_ctrl_c_ends_a_stream_as_interrupted(case: Case, model: str, stage: str, server: FakeOpenAI) -> None:
    with instrumented() as midspan:
        seen = interrupted(midspan, stage, lambda: sync_run_loudly(case, model, server))
        operation = midspan.the_only_operation()
    assert (KeyboardInterrupt, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "interrupted")


def sync_run_loudly(case: Case, model: str, server: FakeOpenAI) -> object:
    seen: Any = sync_run(case, model, r.read_all, server.base_url)
    assert seen[0] is KeyboardInterrupt
    raise KeyboardInterrupt


@waiting
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_ctrl_c_ends_an_async_stream_as_cancelled(case: Case, model: str, stage: str, server: FakeOpenAI) -> None:
    """asyncio cancels the main task, and raises KeyboardInterrupt when that has ended."""
    with instrumented() as midspan:
        seen = interrupted(midspan, stage, lambda: async_run(case, model, r.aread_all, server.base_url))
        operation = midspan.the_only_operation()
    assert (KeyboardInterrupt, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "task cancelled")


# The loop closes the generators that are open, and leaves the sockets to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_left_open_when_the_loop_is_shut_down_is_dropped(case: Case, server: FakeOpenAI) -> None:
    kept: list[Any] = []

    async def leave() -> None:
        client = open_async_client(server.base_url)
        stream = await (await reading.opened(lambda: case.call(client, "ok"))).__aenter__()
        items = aiter(stream)
        await anext(items)
        kept.extend((client, stream, items))

    with instrumented() as midspan:
        asyncio.run(leave())
        operation = midspan.the_only_operation()
        kept.clear()
    assert (operation.status, operation.status_reason) == (CANCELLED, "dropped")
