"""`midspan.watch` of a job: the provider's own client asks, ever less often, until the job has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import openai
import pytest

import midspan
from midspan.core.operation import Operation
from midspan.testing import Captured, capture
from midspan_instrumentation.jobs import _polling
from tests.fakes.openai_calls import http
from tests.fakes.openai_jobs import FakeJobs, batch, file_batch, fine_tuning, metrics, page
from tests.instrumentation.seen import with_others


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long it slept, without sleeping; no two waits are spread by chance."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(_polling, "time", with_others(time, sleep=slept.append))
    monkeypatch.setattr(_polling, "asyncio", with_others(asyncio, sleep=sleep))
    monkeypatch.setattr(_polling.random, "uniform", lambda low, high: (low + high) / 2)
    return slept


@pytest.fixture
def unseen() -> Iterator[Captured]:
    """What is tracked where nothing is instrumented."""
    with capture() as captured:
        yield captured


def watched(job: object, client: object = None, **more: Any) -> list[Operation]:
    return list(midspan.watch(job, client=client, **more))


def test_a_job_is_asked_for_until_it_has_ended(jobs: FakeJobs, sleeps: list[float], unseen: Captured) -> None:
    answers = [batch("validating"), batch(done=1, total=4), batch(done=1, total=4), batch("completed", 4, total=4)]
    jobs.tell("GET", "/batches/batch_1", *answers)
    shown = watched("batch_1", jobs.client())
    assert [(each.stage, each.progress) for each in shown[:2]] == [("validating", None), ("in_progress", 0.25)]
    assert [each.status for each in shown] == ["running", "running", "completed"]
    assert len(unseen.operations) == 1


def test_instrumented_too_it_is_one_operation(jobs: FakeJobs, sleeps: list[float], seen: Captured) -> None:
    jobs.tell("GET", "/batches/batch_1", batch(done=1, total=4), batch("completed", 4, total=4))
    client = jobs.client()
    made = client.batches.retrieve("batch_1")
    assert watched(made)[-1].status == "completed"
    assert len(seen.operations) == 1


def test_it_asks_ever_less_often_and_sooner_again_when_something_moves(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    same = [batch()] * 7
    jobs.tell("GET", "/batches/batch_1", *same, batch(done=1, total=2), batch("completed", 2, total=2))
    watched("batch_1", jobs.client())
    assert sleeps == [1, 2, 4, 8, 16, 30, 30, 15]


def test_the_waits_are_spread_by_chance(jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch, unseen: Captured) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_polling, "time", with_others(time, sleep=slept.append))
    jobs.tell("GET", "/batches/batch_1", *[batch()] * 6, batch("completed"))
    watched("batch_1", jobs.client())
    assert all(
        0.75 * plain <= seconds <= 1.25 * plain for plain, seconds in zip((1, 2, 4, 8, 16, 30), slept, strict=True)
    )
    assert slept != [1, 2, 4, 8, 16, 30]


@pytest.mark.parametrize(
    ("headers", "least"),
    [({"retry-after": "7"}, 7), ({"retry-after-ms": "9000"}, 9), ({"retry-after": "later"}, 2), ({}, 2)],
    ids=str,
)
def test_a_rate_limit_is_waited_out_as_the_server_says(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured, headers: dict[str, str], least: float
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch(), (429, headers), batch("completed"))
    follow = midspan.watch("batch_1", client=jobs.client())
    troubles = [follow.trouble for _ in follow]  # type: ignore[attr-defined]
    assert sleeps == [1, least]
    assert troubles[0] is None and troubles[1].startswith("RateLimitError") and troubles[2] is None


def test_a_server_may_name_the_time_to_come_back(jobs: FakeJobs, sleeps: list[float], unseen: Captured) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    jobs.tell("GET", "/batches/batch_1", (429, {"retry-after": date}), batch("completed"))
    watched("batch_1", jobs.client())
    assert 60 < sleeps[0] <= 100


def test_a_connection_that_is_lost_for_long_is_the_application_s_error(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch(), http.ConnectError("gone"))
    with pytest.raises(openai.APIConnectionError):
        watched("batch_1", jobs.client())
    assert len(jobs.requests) == 1 + _polling.MAX_FAILURES
    assert unseen.operations[0].status == "running"


def test_a_job_that_the_provider_does_not_know_is_a_failed_operation(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    with pytest.raises(openai.NotFoundError):
        watched("batch_nope", jobs.client())
    (operation,) = unseen.operations
    assert (operation.operation_id, operation.operation_type, operation.status) == ("batch_nope", "batch", "failed")
    assert operation.error is not None and operation.error.type == "openai.NotFoundError"


def test_an_error_that_ends_the_watching_is_not_told_as_one_to_be_waited_out(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    told: list[str] = []
    jobs.tell("GET", "/batches/batch_1", (429, {}), (404, {}))
    follow: Any = midspan.watch("batch_1", client=jobs.client())
    follow.on_trouble = told.append
    with pytest.raises(openai.NotFoundError):
        list(follow)
    assert [each.partition(":")[0] for each in told] == ["RateLimitError"]


def test_a_file_batch_that_the_provider_does_not_know_is_of_its_own_type(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    with pytest.raises(openai.NotFoundError):
        watched("vs_1/vsfb_nope", jobs.client())
    (operation,) = unseen.operations
    assert (operation.operation_type, operation.name, operation.status) == ("batch", "file_batch", "failed")


def test_a_refusal_is_the_application_s_error_and_says_nothing_of_the_job(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    jobs.tell("GET", "/batches/batch_1", (401, {}))
    with pytest.raises(openai.AuthenticationError):
        watched("batch_1", jobs.client())
    assert unseen.operations == []


def test_an_asynchronous_client_is_iterated_with_async_for(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    jobs.tell("GET", "/fine_tuning/jobs/ftjob-1/events", page(metrics(1, 4)), page(metrics(3, 4)))
    jobs.tell("GET", "/fine_tuning/jobs/ftjob-1", fine_tuning(), fine_tuning(), fine_tuning("succeeded"))

    async def follow() -> list[Operation]:
        return [each async for each in midspan.watch("ftjob-1", client=jobs.async_client())]

    shown = asyncio.run(follow())
    assert [each.status for each in shown] == ["running", "running", "completed"]
    assert (shown[1].step, shown[1].total_steps) == (3, 4)
    with pytest.raises(TypeError, match="async for"):
        watched("ftjob-1", jobs.async_client())


def test_it_gives_up_in_time(jobs: FakeJobs, sleeps: list[float], unseen: Captured) -> None:
    jobs.tell("GET", "/batches/batch_1", batch())
    with pytest.raises(TimeoutError):
        watched("batch_1", jobs.client(), timeout=0.0)


def test_a_job_that_had_ended_long_ago_is_shown_to_who_asks_for_it(
    jobs: FakeJobs, sleeps: list[float], unseen: Captured
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch("completed", completed_at=1_700_000_100))
    (last,) = watched("batch_1", jobs.client())
    assert (last.status, last.elapsed_seconds) == ("completed", 100)


def test_an_object_tells_where_it_has_to_be_asked_for(jobs: FakeJobs, sleeps: list[float], seen: Captured) -> None:
    jobs.tell("GET", "/vector_stores/vs_1/file_batches/vsfb_1", file_batch("in_progress"), file_batch("completed"))
    client = jobs.client()
    stores = getattr(client, "vector_stores", None) or client.beta.vector_stores
    found = stores.file_batches.retrieve("vsfb_1", vector_store_id="vs_1")
    assert watched(found)[-1].status == "completed"


@pytest.mark.parametrize(
    ("job", "error", "said"),
    [
        (lambda client: ("batch_1", object()), TypeError, "object is of no SDK whose jobs are known"),
        (lambda client: (object(), None), TypeError, "object is of no SDK"),
        (lambda client: ("thing_1", client), ValueError, "'thing_1' is no kind of job of openai; there are: batch"),
        (lambda client: (client, None), TypeError, "OpenAI is no job of openai"),
        (lambda client: (client.batches.retrieve("batch_1"), None), TypeError, "give client="),
    ],
    ids=["no client", "no job", "no kind", "client", "not seen"],
)
def test_what_cannot_be_watched_is_said_at_once(
    jobs: FakeJobs, unseen: Captured, job: Callable[[Any], Any], error: type[Exception], said: str
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch())
    what, client = job(jobs.client())
    with pytest.raises(error, match=said):
        midspan.watch(what, client=client)


def test_a_kind_may_be_named(jobs: FakeJobs, sleeps: list[float], unseen: Captured) -> None:
    jobs.tell("GET", "/batches/0815", {**batch("completed"), "id": "0815"})
    assert watched("0815", jobs.client(), kind="batch")[-1].operation_id == "0815"


def test_an_answer_that_is_not_the_job_is_an_error(jobs: FakeJobs, sleeps: list[float], unseen: Captured) -> None:
    jobs.tell("GET", "/batches/batch_1", {**batch("completed"), "id": "batch_2"})
    with pytest.raises(LookupError, match="not the job 'batch_1'"):
        watched("batch_1", jobs.client())
