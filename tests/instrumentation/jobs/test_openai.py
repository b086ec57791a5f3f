"""OpenAI's jobs: one operation each, whichever call sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import openai
import pytest

import midspan
from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation.jobs._openai_readers import read
from tests.fakes.openai_jobs import (
    CREATED_AT,
    FakeJobs,
    background,
    batch,
    file_batch,
    fine_tuning,
    metrics,
    page,
    upload,
    video,
)

BATCH: Any = {"input_file_id": "file_1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def client(jobs: FakeJobs) -> openai.OpenAI:
    return jobs.client()


def only(seen: Captured) -> Operation:
    (operation,) = seen.operations
    return operation


def offered(client: Any, name: str) -> Any:
    """A resource of the client, wherever the installed release has it."""
    found = getattr(client, name, None) or getattr(client.beta, name, None)
    if found is None:
        pytest.skip(f"openai {openai.__version__} has no {name}")
    return found


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock of the operations, in seconds after the jobs were created."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(get_progress_registry(), "clock", lambda: CREATED_AT + seconds)

    set_clock(0)
    return set_clock


def test_a_batch_is_one_operation_whichever_call_sees_it(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    jobs.tell("POST", "/batches", batch("validating"))
    jobs.tell("GET", "/batches/batch_1", batch(done=2, total=4), batch(done=3, failed=1, total=4))
    jobs.tell("GET", "/batches", page(batch("finalizing", done=3, failed=1, total=4)), page())
    jobs.tell("POST", "/batches/batch_1/cancel", batch("cancelling", done=3, failed=1, total=4))
    client.batches.create(**BATCH)
    first = only(seen)
    client.batches.retrieve("batch_1")
    half = only(seen)
    client.batches.with_raw_response.retrieve("batch_1")
    full = only(seen)
    list(client.batches.list())
    finalizing = only(seen)
    client.batches.cancel("batch_1")
    assert (first.operation_id, first.operation_type, first.name, first.provider) == (
        "batch_1", "batch", "batch", "openai",
    )  # fmt: skip
    assert (first.status, first.stage, first.progress, first.total) == ("running", "validating", None, None)
    assert (half.stage, half.progress, half.completed, half.total, half.unit) == ("in_progress", 0.5, 2, 4, "request")
    assert full.counts is not None and (full.counts.succeeded, full.counts.failed) == (3, 1)
    assert (finalizing.stage, finalizing.progress, finalizing.status) == ("finalizing", 1.0, "running")
    assert only(seen).stage == "cancelling"


def test_a_batch_ends_once_with_the_provider_s_own_times(
    jobs: FakeJobs, client: Any, seen: Captured, at: Callable[[float], None]
) -> None:
    ended = batch("completed", done=4, total=4, completed_at=CREATED_AT + 90)
    ended["usage"] = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    jobs.tell("GET", "/batches/batch_1", batch(done=1, total=4), ended)
    at(60)
    client.batches.retrieve("batch_1")
    at(200)
    client.batches.retrieve("batch_1")
    client.batches.retrieve("batch_1")
    operation = only(seen)
    assert (operation.status, operation.created_at, operation.ended_at) == ("completed", CREATED_AT, CREATED_AT + 90)
    assert operation.tokens is not None and (operation.tokens.input, operation.tokens.output) == (7, 3)
    assert get_progress_registry().statistics.series()[0].ended["completed"] == 1


@pytest.mark.parametrize(
    ("last", "status", "error", "reason"),
    [
        (batch("expired", expired_at=CREATED_AT + 1), "failed", "expired", None),
        (batch("cancelled", cancelled_at=CREATED_AT + 1), "cancelled", None, "cancelled"),
        (batch("failed", errors={"data": [{"code": "bad_line", "message": "m"}]}), "failed", "bad_line", None),
    ],
    ids=lambda value: value["status"] if isinstance(value, dict) else str(value),
)
def test_how_a_batch_ends_is_what_the_provider_says(
    jobs: FakeJobs,
    client: Any,
    seen: Captured,
    last: dict[str, Any],
    status: str,
    error: str | None,
    reason: str | None,
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch(), last)
    client.batches.retrieve("batch_1")
    client.batches.retrieve("batch_1")
    operation = only(seen)
    assert (operation.status, operation.status_reason) == (status, reason)
    assert (operation.error and operation.error.type) == error
    assert operation.error is None or operation.error.message is None


async def _created_and_listed(client: openai.AsyncOpenAI) -> None:
    await client.batches.create(**BATCH)
    async for _ in client.batches.list():
        pass


def test_the_asynchronous_client_s_jobs_are_seen_on_every_page(jobs: FakeJobs, seen: Captured) -> None:
    jobs.tell("POST", "/batches", batch("validating"))
    second = {**batch(done=1, total=2), "id": "batch_2"}
    jobs.tell("GET", "/batches", page(batch(done=2, total=4), more=True), page(second), page())
    asyncio.run(_created_and_listed(jobs.async_client()))
    assert [(each.operation_id, each.progress) for each in seen.operations] == [("batch_1", 0.5), ("batch_2", 0.5)]


def test_a_job_that_the_provider_does_not_know_fails_with_the_application_s_own_exception(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch())
    client.batches.retrieve("batch_1")
    jobs.tell("GET", "/batches/batch_1")
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_1")
    operation = only(seen)
    assert operation.status == "failed"
    assert operation.error is not None and operation.error.type == "openai.NotFoundError"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_provider_that_does_not_answer_says_nothing_about_the_job(
    jobs: FakeJobs, client: Any, seen: Captured, status: int
) -> None:
    jobs.tell("GET", "/batches/batch_1", batch(), (status, {}))
    client.batches.retrieve("batch_1")
    with pytest.raises(openai.APIStatusError):
        client.batches.retrieve("batch_1")
    assert only(seen).status == "running"


def test_an_id_that_nobody_knows_is_a_failed_operation(client: Any, seen: Captured) -> None:
    with pytest.raises(openai.NotFoundError):
        offered(client, "vector_stores").file_batches.retrieve("vsfb_nope", vector_store_id="vs_1")
    operation = only(seen)
    assert (operation.operation_id, operation.operation_type, operation.name) == ("vsfb_nope", "batch", "file_batch")
    assert (operation.status, operation.error and operation.error.type) == ("failed", "openai.NotFoundError")


def test_a_response_that_nobody_knows_is_no_operation(client: Any, seen: Captured) -> None:
    with pytest.raises(openai.NotFoundError):
        offered(client, "responses").retrieve("resp_nope")
    assert seen.operations == []


def test_a_fine_tuning_tells_its_steps_by_its_events_and_when_it_expects_to_finish(
    jobs: FakeJobs, client: Any, seen: Captured, at: Callable[[float], None]
) -> None:
    jobs.tell("POST", "/fine_tuning/jobs", fine_tuning("validating_files"))
    jobs.tell("GET", "/fine_tuning/jobs/ftjob-1", fine_tuning(estimated_finish=CREATED_AT + 100))
    jobs.tell("GET", "/fine_tuning/jobs/ftjob-1/events", page(metrics(30, 40), metrics(10, 40)))
    client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file_1")
    at(40)
    client.fine_tuning.jobs.retrieve("ftjob-1")
    client.fine_tuning.jobs.list_events("ftjob-1")
    operation = only(seen)
    assert (operation.operation_type, operation.model, operation.stage) == ("fine_tuning", "gpt-4o-mini", "running")
    assert (operation.step, operation.total_steps, operation.progress) == (30, 40, 0.75)
    assert operation.estimated_remaining_seconds == 60
    assert operation.estimate is not None and operation.estimate.method == "provider"


def test_events_of_a_fine_tuning_that_is_not_known_begin_nothing(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    jobs.tell("GET", "/fine_tuning/jobs/ftjob-1/events", page(metrics(30, 40)))
    client.fine_tuning.jobs.list_events("ftjob-1")
    assert seen.operations == []


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
def test_a_video_tells_its_percentage(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    jobs.tell("POST", "/videos", video("queued", 0))
    jobs.tell("GET", "/videos/video_1", video("in_progress", 40), video("completed", 100))
    offered(client, "videos").create(prompt="a cat")
    offered(client, "videos").retrieve("video_1")
    operation = only(seen)
    assert (operation.operation_type, operation.model, operation.progress) == ("video", "sora-2", 0.4)
    offered(client, "videos").retrieve("video_1")
    assert only(seen).status == "completed"


def test_a_poll_helper_sees_the_same_operation(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    jobs.tell("POST", "/vector_stores/vs_1/file_batches", file_batch("in_progress", total=3))
    jobs.tell(
        "GET",
        "/vector_stores/vs_1/file_batches/vsfb_1",
        file_batch("in_progress", total=3, completed=1, in_progress=2),
        file_batch("completed", total=3, completed=2, failed=1),
    )
    offered(client, "vector_stores").file_batches.create_and_poll("vs_1", file_ids=["a", "b", "c"], poll_interval_ms=1)
    operation = only(seen)
    assert (operation.status, operation.name, operation.completed, operation.unit) == (
        "completed", "file_batch", 3, "file",
    )  # fmt: skip
    assert operation.counts is not None and (operation.counts.succeeded, operation.counts.failed) == (2, 1)


def test_the_parts_of_an_upload_are_its_bytes(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    jobs.tell("POST", "/uploads", upload("pending"))
    part = {"id": "part_1", "object": "upload.part", "created_at": CREATED_AT, "upload_id": "upload_1"}
    jobs.tell("POST", "/uploads/upload_1/parts", part)
    jobs.tell("POST", "/uploads/upload_1/complete", upload("completed"))
    offered(client, "uploads").create(bytes=10, filename="data", mime_type="text/plain", purpose="batch")
    offered(client, "uploads").parts.create("upload_1", data=b"1234")
    half = only(seen)
    offered(client, "uploads").complete("upload_1", part_ids=["part_1"])
    assert (half.operation_type, half.name, half.completed, half.total, half.unit) == (
        "file_transfer", "upload", 4, 10, "byte",
    )  # fmt: skip
    assert (only(seen).status, only(seen).completed) == ("completed", 10)


def test_a_response_in_the_background_is_the_operation_of_the_call_that_began_it(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    jobs.tell("POST", "/responses", background("queued"))
    jobs.tell("GET", "/responses/resp_1", background("in_progress"), background("completed", usage=usage))
    offered(client, "responses").create(model="gpt-5", input="x", background=True)
    made = only(seen)
    offered(client, "responses").retrieve("resp_1")
    going = only(seen)
    offered(client, "responses").retrieve("resp_1")
    last = only(seen)
    assert (made.status, made.name, made.stalled) == ("running", "chat", False)
    assert (going.status, going.stage) == ("running", "in_progress")
    assert (last.status, last.tokens and last.tokens.output) == ("completed", 3)


def test_a_response_in_the_background_that_another_process_has_begun_is_seen_too(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    jobs.tell("GET", "/responses/resp_1", background("in_progress"), background("completed", usage=usage))
    offered(client, "responses").retrieve("resp_1")
    first = only(seen)
    offered(client, "responses").retrieve("resp_1")
    last = only(seen)
    assert (first.operation_type, first.status, first.stage) == ("llm_request", "running", "in_progress")
    assert (last.status, last.tokens and last.tokens.output) == ("completed", 3)


def test_a_raw_response_that_is_not_read_yet_is_left_alone() -> None:
    unread = SimpleNamespace(http_response=SimpleNamespace(is_stream_consumed=False))
    assert list(read(unread)) == []


def test_a_client_that_is_not_to_be_seen_is_not(jobs: FakeJobs, seen: Captured) -> None:
    jobs.tell("GET", "/batches/batch_1", batch())
    client = jobs.client()
    midspan.disable(client)
    client.batches.retrieve("batch_1")
    assert seen.operations == []
