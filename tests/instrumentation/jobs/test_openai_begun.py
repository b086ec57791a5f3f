"""Responses in the background whose own call streams them: the call's operation goes on as the job."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation._call import current_call
from midspan_instrumentation.jobs._begun import watch_begun
from midspan_instrumentation.jobs.openai import TABLE
from tests.endings.seen import instrumented
from tests.fakes.openai_jobs import FakeJobs, Streamed, background, events
from tests.instrumentation.jobs.streamed import (
    CREATED,
    EVENTS,
    HALF,
    JOB,
    LOST,
    answering,
    break_half,
    cancel,
    counted,
    endings,
    only,
    read,
    tokens_in_the_metrics,
)

if not hasattr(openai.OpenAI, "responses"):
    pytest.skip(f"openai {openai.__version__} has no responses", allow_module_level=True)


@pytest.fixture
def jobs() -> FakeJobs:
    return answering().tell("POST", "/responses", Streamed(events()))


@pytest.fixture
def client(jobs: FakeJobs) -> Any:
    return jobs.client()


def test_a_call_in_the_background_that_is_streamed_to_its_end_is_a_call_like_any_other(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    list(client.responses.create(**CREATED, stream=True))
    last = only(seen)
    assert (last.status, counted(last), endings(last)) == ("completed", (EVENTS, 3, False), 1)


def _create_lost(client: Any, jobs: FakeJobs) -> None:
    jobs.tell("POST", "/responses", Streamed(events(), until=HALF, lost=True))
    with pytest.raises(LOST):
        list(client.responses.create(**CREATED, stream=True))


def _create_ends_early(client: Any, jobs: FakeJobs) -> None:
    jobs.tell("POST", "/responses", Streamed(events(), until=HALF))
    list(client.responses.create(**CREATED, stream=True))


def _create_breaks(client: Any, jobs: FakeJobs) -> None:
    with client.responses.create(**CREATED, stream=True) as stream:
        read(stream, HALF)


def _create_drops(client: Any, jobs: FakeJobs) -> None:
    read(client.responses.create(**CREATED, stream=True), HALF)
    gc.collect()


def _create_cancelled(_client: Any, jobs: FakeJobs) -> None:
    jobs.tell("POST", "/responses", Streamed(events(), until=HALF, hangs=True))
    client = jobs.async_client()
    asyncio.run(cancel(client, lambda: client.responses.create(**CREATED, stream=True), HALF))


@pytest.mark.parametrize(
    "leave",
    [_create_lost, _create_ends_early, _create_breaks, _create_drops, _create_cancelled],
    ids=lambda value: value.__name__.removeprefix("_create_"),
)
def test_a_call_in_the_background_goes_on_as_the_job_when_its_stream_is_left(
    jobs: FakeJobs, client: Any, seen: Captured, leave: Callable[[Any, FakeJobs], None]
) -> None:
    leave(client, jobs)
    going = only(seen)
    list(client.responses.retrieve(JOB, stream=True, starting_after=HALF - 1))
    last = only(seen)
    assert (going.status, counted(going), endings(going)) == ("running", (HALF, 2, True), 0)
    assert (last.status, counted(last), endings(last)) == ("completed", (EVENTS, 3, False), 1)
    assert tokens_in_the_metrics() == 3


@pytest.mark.parametrize("begun", ["whole", "streamed", "not"])
def test_all_streams_of_a_response_are_in_one_span_that_ends_once(jobs: FakeJobs, client: Any, begun: str) -> None:
    with instrumented() as midspan:
        if begun == "streamed":
            _create_ends_early(client, jobs)
        elif begun == "whole":
            jobs.tell("POST", "/responses", background("queued"))
            client.responses.create(**CREATED)
        break_half(client)
        list(client.responses.retrieve(JOB, stream=True))
        operation = midspan.the_only_operation()
    assert (operation.status, counted(operation)) == ("completed", (EVENTS, 3, False))


def test_a_call_in_the_background_whose_stream_was_left_ends_by_a_look_at_it(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    _create_breaks(client, jobs)
    jobs.tell("GET", f"/responses/{JOB}", background("cancelled"))
    client.responses.retrieve(JOB)
    assert (only(seen).status, only(seen).status_reason) == ("cancelled", "cancelled")


def test_a_call_of_an_sdk_that_is_built_on_this_one_is_left_to_that_one() -> None:
    outer: Any = SimpleNamespace(watch=None, covers_others=True)
    token = current_call.set(outer)
    watch_begun(TABLE)
    current_call.reset(token)
    assert outer.watch is None


def test_a_call_that_is_refused_fails_although_it_is_in_the_background(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    jobs.tell("POST", "/responses", (400, {}))
    with pytest.raises(openai.BadRequestError):
        client.responses.create(**CREATED, stream=True)
    assert only(seen).status == "failed"


def test_a_stream_in_the_background_that_was_not_begun_is_cancelled(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    client.responses.create(**CREATED, stream=True).close()
    assert (only(seen).status, only(seen).status_reason) == ("cancelled", "closed early")


def test_a_stream_that_is_not_in_the_background_is_cancelled_when_it_is_left(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    told = [{**event, "response": {**event["response"], "background": False}} if "response" in event else event
            for event in events()]  # fmt: skip
    jobs.tell("POST", "/responses", Streamed(told))
    _create_breaks(client, jobs)
    assert (only(seen).status, only(seen).status_reason) == ("cancelled", "closed early")


@pytest.mark.parametrize("call", ["create", "retrieve"])
def test_in_the_collector_nothing_is_told_but_when_a_job_stands_still(
    jobs: FakeJobs, client: Any, seen: Captured, states: list[State], call: str
) -> None:
    asked: Any = CREATED if call == "create" else {"response_id": JOB}
    stream = read(getattr(client.responses, call)(**asked, stream=True), HALF)
    (state,) = states
    before = state.sequence
    del stream
    gc.collect()
    assert (state.sequence, state.stage, state.stall_after) == (before, "streaming_response", 30 * 86_400.0)


@pytest.mark.parametrize("call", ["create", "retrieve"])
def test_a_stream_that_hangs_stands_still_and_a_job_that_nobody_reads_does_not(
    jobs: FakeJobs, client: Any, seen: Captured, states: list[State], call: str
) -> None:
    asked: Any = CREATED if call == "create" else {"response_id": JOB}
    stream = read(getattr(client.responses, call)(**asked, stream=True), HALF)
    (state,) = states
    listened = state.stall_after
    stream.close()
    assert (listened, state.stall_after) == (get_progress_registry().stall_limit("llm_request"), 30 * 86_400.0)


@pytest.mark.parametrize("call", ["create", "retrieve"])
def test_a_stream_that_was_left_says_no_more_while_the_next_one_is_read(
    jobs: FakeJobs, client: Any, seen: Captured, states: list[State], call: str
) -> None:
    asked: Any = CREATED if call == "create" else {"response_id": JOB}
    stream = read(getattr(client.responses, call)(**asked, stream=True), HALF)
    stream.close()
    going = read(client.responses.retrieve(JOB, stream=True), HALF + 1)
    del stream
    gc.collect()
    (state,) = states
    assert (state.stage, state.stall_after) == (
        "streaming_response",
        get_progress_registry().stall_limit("llm_request"),
    )
    going.close()
