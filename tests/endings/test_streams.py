"""Every way in which a stream can end, for every target of every provider, sync and async.

One operation, one span, ended once, with the right status and reason, nothing left running, and the application sees
what it would have seen without midspan.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation, Status
from tests.endings import reading
from tests.endings.conftest import UrlOf
from tests.endings.seen import Seen, async_run, check_error, instrumented, opened, outcome, sync_run
from tests.fakes.sdk import Case, Opened
from tests.fakes.sdks import ASYNC_STREAMS, MISSING, SDKS, STREAMS, sdk_of


def test_the_matrix_has_every_provider() -> None:
    assert {*SDKS, *MISSING} == set(instrumentation.PROVIDERS)


@dataclass(frozen=True)
class Ending:
    """How a stream is ended: by what the application does, and by what the server does."""

    name: str
    model: str
    read: Callable[[Opened], object]
    aread: Callable[[Opened], Awaitable[object]]
    status: Status
    reason: str | None = None
    of_response: bool = False
    unread: bool = False

    def fits(self, case: Case, is_async: bool) -> bool:
        """False where it is done to an HTTP response that the SDK does not show, or to a stream without a `close`, or
        to one before its request."""
        if (self.of_response and not sdk_of(case).shows_response) or (self.unread and case.is_late):
            return False
        closes = self.status is CANCELLED and self.reason != "dropped"
        return case.closable[is_async] or not closes

    def reason_for(self, case: Case, is_async: bool) -> str | None:
        """Why it is cancelled, as far as that can be told: of one whose SDK lets go of it, only that it was dropped."""
        let_go = self.status is CANCELLED and case.lets_go[is_async] and not self.unread
        return "dropped" if let_go else self.reason

    def __str__(self) -> str:
        return self.name


CANCELLED, COMPLETED, FAILED = Status.CANCELLED, Status.COMPLETED, Status.FAILED
r = reading
ENDINGS = (
    Ending("exhausted", "ok", r.read_all, r.aread_all, COMPLETED),
    Ending("cut at the token limit", "limited", r.read_all, r.aread_all, COMPLETED),
    Ending("read as bytes", "ok", r.read_bytes, r.aread_bytes, COMPLETED, None, True),
    Ending("break in with", "ok", r.break_in_with, r.abreak_in_with, CANCELLED, "closed early"),
    Ending("raise in with", "ok", r.raise_in_with, r.araise_in_with, CANCELLED, "closed early"),
    Ending("exit in with", "ok", r.exit_in_with, r.aexit_in_with, CANCELLED, "SystemExit"),
    Ending("interrupt in with", "ok", r.interrupt_in_with, r.ainterrupt_in_with, CANCELLED, "interrupted"),
    Ending("break, close", "ok", r.break_and_close, r.abreak_and_close, CANCELLED, "closed early"),
    Ending("never read, close", "ok", r.close_unread, r.aclose_unread, CANCELLED, "closed early", unread=True),
    Ending("response closed", "ok", r.close_the_response, r.aclose_the_response, CANCELLED, "closed early", True),
    Ending("break, drop", "ok", r.break_and_drop, r.abreak_and_drop, CANCELLED, "dropped"),
    Ending("never read, drop", "ok", r.never_read, r.anever_read, CANCELLED, "dropped", unread=True),
    Ending("provider error", "refused", r.read_all, r.aread_all, FAILED),
    Ending("connection lost", "cut", r.read_all, r.aread_all, FAILED),
    Ending("read elsewhere", "ok", r.read_in_another_thread, r.aread_in_another_task, COMPLETED),
    Ending("read on elsewhere", "ok", r.read_on_in_another_thread, r.aread_on_in_another_task, COMPLETED),
    Ending("lost elsewhere", "cut", r.read_in_another_thread, r.aread_in_another_task, FAILED),
    Ending("closed elsewhere", "ok", r.close_in_another_thread, r.aclose_in_another_task, CANCELLED, "closed early"),
)


def check(ending: Ending, case: Case, operation: Operation, seen: object, is_async: bool = False) -> None:
    assert (ending.status, ending.reason_for(case, is_async)) == (operation.status, operation.status_reason)
    if ending.status is FAILED:
        check_error(operation, case, seen)


def matrix(cases: Sequence[Case], is_async: bool = False) -> pytest.MarkDecorator:
    """Each case with each ending that it can have."""
    pairs = [(case, ending) for case in cases for ending in ENDINGS if ending.fits(case, is_async)]
    return pytest.mark.parametrize(("case", "ending"), pairs, ids=str)


# urllib3 leaves the socket of a dropped response to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@matrix(STREAMS)
def test_a_stream_ends_once_and_rightly(case: Case, ending: Ending, url_of: UrlOf) -> None:
    expected = sync_run(case, ending.model, ending.read, url_of(case))
    with instrumented() as midspan:
        assert expected == sync_run(case, ending.model, ending.read, url_of(case))
        check(ending, case, midspan.the_only_operation(), expected)


@matrix(ASYNC_STREAMS, is_async=True)
def test_an_async_stream_ends_once_and_rightly(case: Case, ending: Ending, url_of: UrlOf) -> None:
    expected = async_run(case, ending.model, ending.aread, url_of(case))
    with instrumented() as midspan:
        assert expected == async_run(case, ending.model, ending.aread, url_of(case))
        check(ending, case, midspan.the_only_operation(), expected, is_async=True)


# `silent`: it ends while the application waits for the headers; `hanging`: in mid-stream.
waiting = pytest.mark.parametrize(
    ("model", "stage"),
    [("silent", "waiting_first_chunk"), ("hanging", "streaming_response")],
    ids=["waiting", "streaming"],
)
Stop = Callable[[Opened, Callable[[], bool]], Awaitable[None]]


@waiting
@pytest.mark.parametrize(
    ("stop", "error"), [(r.cancel, asyncio.CancelledError), (r.time_out, TimeoutError)], ids=["cancel", "timeout"]
)
@pytest.mark.parametrize("case", ASYNC_STREAMS, ids=str)
def test_a_cancelled_or_timed_out_task_ends_its_stream_as_cancelled(
    case: Case, model: str, stage: str, stop: Stop, error: type[BaseException], url_of: UrlOf
) -> None:
    with instrumented() as midspan:
        seen = async_run(case, model, lambda call: stop(call, lambda: midspan.has_stage(stage)), url_of(case))
        operation = midspan.the_only_operation()
    assert (error, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "task cancelled")


def waits_for_the_server() -> bool:
    """The main thread is in the HTTP client or the event loop: not in a scrape, which would leave its files open."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    reads = frame.f_code.co_name == "readinto"  # http.client's: it leaves a socket that is still connecting unclosed
    return reads or any(name in frame.f_code.co_filename for name in ("httpcore", "selectors"))


def interrupted(midspan: Seen, stage: str, run: Callable[[], object]) -> object:
    """Runs until the operation is in a stage, then has the user press Ctrl+C."""
    done = threading.Event()

    def press() -> None:
        while not done.wait(0.002):
            # Twice: a signal that comes when it is only about to wait does not wake it.
            if midspan.has_stage(stage) and waits_for_the_server() and not done.wait(0.01) and waits_for_the_server():
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
def test_ctrl_c_ends_a_stream_as_interrupted(case: Case, model: str, stage: str, url_of: UrlOf) -> None:
    with instrumented() as midspan:
        seen = interrupted(midspan, stage, lambda: sync_run_loudly(case, model, url_of(case)))
        operation = midspan.the_only_operation()
    assert (KeyboardInterrupt, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "interrupted")


def sync_run_loudly(case: Case, model: str, url: str) -> object:
    seen: Any = sync_run(case, model, r.read_all, url)
    assert seen[0] is KeyboardInterrupt
    raise KeyboardInterrupt


@waiting
@pytest.mark.parametrize("case", ASYNC_STREAMS, ids=str)
def test_ctrl_c_ends_an_async_stream_as_cancelled(case: Case, model: str, stage: str, url_of: UrlOf) -> None:
    """asyncio cancels the main task, and raises KeyboardInterrupt when that has ended."""
    with instrumented() as midspan:
        seen = interrupted(midspan, stage, lambda: async_run(case, model, r.aread_all, url_of(case)))
        operation = midspan.the_only_operation()
    assert (KeyboardInterrupt, "") == seen
    assert (operation.status, operation.status_reason) == (CANCELLED, "task cancelled")


# The loop closes the generators that are open, and leaves the sockets to the collector; aiohttp's responses then ask it
# to close theirs, when it is closed itself.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*Response.__del__:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", ASYNC_STREAMS, ids=str)
def test_a_stream_left_open_when_the_loop_is_shut_down_is_dropped(case: Case, url_of: UrlOf) -> None:
    kept: list[Any] = []
    open_async_client, url = sdk_of(case).open_async_client, url_of(case)
    assert open_async_client is not None

    async def leave() -> None:
        client = open_async_client(url)
        stream = await reading.abegun(opened(case, client, "ok"))
        items = aiter(stream)
        await anext(items)
        kept.extend((client, stream, items))

    with instrumented() as midspan:
        asyncio.run(leave())
        if not inspect.isasyncgen(kept[-1]):
            kept.clear()  # the loop knows nothing of it
        operation = midspan.the_only_operation()
        kept.clear()
    assert (operation.status, operation.status_reason) == (CANCELLED, "dropped")
