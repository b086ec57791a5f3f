"""The jobs of the other providers: what is read of each, and how each is watched."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import pytest

import midspan
from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan_instrumentation import jobs
from midspan_instrumentation.jobs import _polling, watching
from tests.fakes.openai_jobs import batch
from tests.fakes.other_jobs import (
    ARN,
    BEGUN,
    ENDED,
    NOW,
    Answers,
    bedrock_client,
    cohere_batch,
    cohere_client,
    cohere_model,
    embed_job,
    google_batch,
    interaction,
    invocation_job,
    message_batch,
    mistral_batch,
)
from tests.fakes.sdks import SDKS
from tests.instrumentation.seen import with_others


def clients(provider: str, *answers: Any) -> tuple[Any, Any]:
    """A client of each kind of this SDK, which gets these answers."""
    if provider not in SDKS:
        pytest.skip(f"{provider} is not installed")
    return SDKS[provider].over(Answers(*answers))


@pytest.fixture(autouse=True)
def sleepless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watching waits for nothing."""

    async def sleep(_seconds: float) -> None:
        """At once."""

    monkeypatch.setattr(_polling, "time", with_others(time, sleep=lambda _seconds: None))
    monkeypatch.setattr(_polling, "asyncio", with_others(asyncio, sleep=sleep))


def only(seen: Captured) -> Operation:
    (operation,) = seen.operations
    return operation


async def _watched(job_id: str, client: Any) -> list[Operation]:
    return [each async for each in midspan.watch(job_id, client=client)]


# --- anthropic ----------------------------------------------------------------------------------------


def batches(client: Any) -> Any:
    """The resource, which old releases have in their beta only."""
    return getattr(client.messages, "batches", None) or client.beta.messages.batches


def test_how_far_a_message_batch_is_nobody_knows_before_it_has_ended(seen: Captured) -> None:
    ended = message_batch("ended", succeeded=7, errored=1)
    client, _ = clients("anthropic", message_batch(processing=8), message_batch(processing=8), ended)
    batches(client).create(requests=[])
    batches(client).retrieve("msgbatch_1")
    going = only(seen)
    batches(client).retrieve("msgbatch_1")
    operation = only(seen)
    assert (going.status, going.stage, going.progress, going.total) == ("running", "in_progress", None, None)
    assert (operation.status, operation.completed, operation.total) == ("completed", 8, 8)
    assert operation.counts is not None and (operation.counts.succeeded, operation.counts.failed) == (7, 1)
    assert operation.elapsed_seconds == pytest.approx(60)


@pytest.mark.parametrize(
    ("counts", "status"), [({"canceled": 2, "succeeded": 1}, "cancelled"), ({"expired": 3}, "failed")]
)
def test_a_message_batch_that_was_cancelled_or_has_expired_says_so_by_its_requests(
    seen: Captured, counts: dict[str, int], status: str
) -> None:
    client, _ = clients("anthropic", message_batch(processing=3), message_batch("ended", **counts))
    batches(client).retrieve("msgbatch_1")
    batches(client).cancel("msgbatch_1")
    assert only(seen).status == status


def test_the_asynchronous_beta_and_its_pages_see_the_same_batch(seen: Captured) -> None:
    page = {"data": [message_batch(processing=1)], "has_more": False, "first_id": None, "last_id": None}
    _, client = clients("anthropic", message_batch(processing=1), page, message_batch("ended", succeeded=1))

    async def use() -> None:
        await client.beta.messages.batches.retrieve("msgbatch_1")
        async for _ in batches(client).list():
            pass

    asyncio.run(use())
    assert only(seen).stage == "in_progress"
    assert asyncio.run(_watched("msgbatch_1", client))[-1].status == "completed"
    assert only(seen).status == "completed"


# --- groq ---------------------------------------------------------------------------------------------


def test_groq_s_batches_are_read_as_openai_s(seen: Captured) -> None:
    client, _ = clients("groq", batch(done=1, total=4), batch("completed", 4, total=4))
    if not hasattr(client, "batches"):
        pytest.skip("this version of groq has no batches")
    client.batches.retrieve("batch_1")
    assert (only(seen).provider, only(seen).progress) == ("groq", 0.25)
    assert [each.status for each in midspan.watch("batch_1", client=client)] == ["completed"]


# --- google -------------------------------------------------------------------------------------------


def test_a_google_batch(seen: Captured) -> None:
    client, _ = clients("google_genai", google_batch("PENDING"), google_batch("RUNNING"), {}, google_batch("SUCCEEDED"))
    client.batches.create(model="gemini", src=[{"contents": [{"parts": [{"text": "x"}]}]}])
    client.batches.get(name="batches/1")
    going = only(seen)
    client.batches.cancel(name="batches/1")
    assert only(seen).stage == "cancelling"
    client.batches.get(name="batches/1")
    operation = only(seen)
    assert (going.operation_id, going.metadata, going.operation_type, going.stage) == (
        "batches.1", {"job_id": "batches/1"}, "batch", "running",
    )  # fmt: skip
    assert (operation.status, operation.provider, operation.model) == ("completed", "gcp.gemini", "gemini")


def test_a_google_batch_is_watched_with_either_client(seen: Captured) -> None:
    client, twin = clients("google_genai", google_batch("RUNNING"), google_batch("FAILED"), google_batch("SUCCEEDED"))
    assert [each.status for each in midspan.watch("batches/1", client=client)] == ["running", "failed"]
    twin = clients("google_genai", google_batch("EXPIRED"))[1] if twin is None else twin
    assert asyncio.run(_watched("batches/1", twin))[-1].status == "failed"
    assert len(seen.operations) == 1


@pytest.mark.parametrize(
    ("told", "progress"),
    [({"progressPercent": 40}, 0.4), ({"progressPercentage": 0}, 0.0), ({"progress": 60}, 0.6)],
    ids=str,
)
def test_a_video_of_google_s_is_a_long_running_operation(seen: Captured, told: dict[str, int], progress: float) -> None:
    name = "models/veo/operations/1"
    failed = {"name": name, "done": True, "error": {"code": 3, "message": "no"}}
    client, _ = clients("google_genai", {"name": name, "metadata": told}, failed)
    operation = importlib.import_module("google.genai.types").GenerateVideosOperation(name=name)
    client.operations.get(operation)
    going = only(seen)
    assert (going.operation_type, going.model, going.progress) == ("video", "veo", progress)
    *_, last = midspan.watch(operation, client=client)
    assert (last.status, last.error and last.error.type) == ("failed", "code 3")


def test_a_file_of_google_s_is_processed_after_its_upload(seen: Captured) -> None:
    file = {"name": "files/1", "state": "PROCESSING", "createTime": BEGUN, "mimeType": "video/mp4"}
    client, _ = clients("google_genai", file, {"files": [file]}, {**file, "state": "ACTIVE"})
    client.files.get(name="files/1")
    list(client.files.list())
    assert (only(seen).operation_type, only(seen).name, only(seen).stage) == ("file_transfer", "file", "processing")
    *_, last = midspan.watch("files/1", client=client)
    assert last.status == "completed"


def test_google_jobs_that_are_not_known_have_failed_and_files_may_be_missing(seen: Captured) -> None:
    client, _ = clients("google_genai", google_batch("RUNNING"), *[404] * 3)
    client.batches.get(name="batches/1")
    looks = (client.batches.get, "batches/1"), (client.tunings.get, "tunedModels/1"), (client.files.get, "files/1")
    for look, name in looks:
        with pytest.raises(Exception, match="404"):
            look(name=name)
    assert [(each.operation_type, each.status) for each in seen.operations] == [
        ("batch", "failed"),
        ("fine_tuning", "failed"),
    ]


USED = {"usage": {"total_input_tokens": 7, "total_output_tokens": 2, "total_thought_tokens": 1}}


def interactive(*answers: Any) -> tuple[Any, Any]:
    """A client of each kind, which gets these answers of interactions."""
    client, twin = clients("google_genai", *answers)
    if not importlib.util.find_spec("google.genai._gaos"):
        pytest.skip("google-genai 1 had other interactions")
    return client, twin


def test_an_interaction_in_the_background_is_the_operation_of_the_call_that_began_it(seen: Captured) -> None:
    client, _ = interactive(interaction("queued"), interaction("in_progress"), interaction("completed", **USED))
    client.interactions.create(model="gemini", input="x", background=True)
    made = only(seen)
    client.interactions.get("v1_1")
    going = only(seen)
    client.interactions.get("v1_1")
    last = only(seen)
    assert (made.status, made.name, made.stalled) == ("running", "generate_content", False)
    assert (going.status, going.stage) == ("running", "in_progress")
    assert (last.status, last.tokens and last.tokens.output) == ("completed", 3)


def test_an_interaction_that_another_process_has_begun_is_seen_and_cancelled(seen: Captured) -> None:
    _, twin = interactive(interaction("in_progress"), interaction("cancelled"))

    async def use() -> Operation:
        await twin.interactions.get("v1_1")
        going = only(seen)
        await twin.interactions.cancel("v1_1")
        return going

    going = asyncio.run(use())
    assert (going.operation_id, going.operation_type, going.stage) == ("v1_1", "llm_request", "in_progress")
    assert (only(seen).status, only(seen).status_reason) == ("cancelled", "cancelled")
    assert only(seen).elapsed_seconds == pytest.approx(60)


def test_an_interaction_that_is_over_when_it_is_looked_up_is_no_job(seen: Captured) -> None:
    client, _ = interactive(interaction("completed"), 404)
    client.interactions.get("v1_1")
    with pytest.raises(Exception, match="404"):
        client.interactions.get("v1_1")
    assert seen.operations == []


def test_an_interaction_in_the_background_that_is_gone_has_failed(seen: Captured) -> None:
    client, _ = interactive(interaction("in_progress", created="soon"), 404)
    client.interactions.create(model="gemini", input="x", background=True)
    with pytest.raises(Exception, match="404"):
        client.interactions.get("v1_1")
    assert only(seen).status == "failed"


def test_raw_responses_tell_of_an_interaction_in_the_background(seen: Captured) -> None:
    client, _ = interactive(interaction("in_progress"), interaction("budget_exceeded"))
    client.interactions.with_raw_response.create(model="gemini", input="x", background=True)
    assert only(seen).status == "running"
    client.interactions.with_raw_response.get("v1_1")
    operation = only(seen)
    assert (operation.status, operation.error and operation.error.type) == ("failed", "budget_exceeded")


def test_an_interaction_is_watched_by_its_id_and_as_an_object(seen: Captured) -> None:
    client, _ = interactive(interaction("queued"), interaction("in_progress"), interaction("incomplete"))
    made = client.interactions.create(model="gemini", input="x", background=True)
    assert [each.status for each in midspan.watch(made, client=client)] == ["running", "completed"]
    assert only(seen).name == "generate_content"
    _, twin = interactive(interaction("in_progress", id="v1_2"), interaction("requires_action", id="v1_2"))
    assert [each.status for each in asyncio.run(_watched("v1_2", twin))] == ["running", "completed"]


# --- mistral ------------------------------------------------------------------------------------------


def test_a_batch_of_mistral_s(seen: Captured) -> None:
    listed = {"total": 1, "data": [mistral_batch("RUNNING", 1)], "object": "list"}
    answers = mistral_batch("QUEUED"), listed, mistral_batch("RUNNING", 2, 1), mistral_batch("CANCELLATION_REQUESTED")
    client, _ = clients("mistralai", *answers, mistral_batch("SUCCESS", 3, 1))
    client.batch.jobs.create(endpoint="/v1/chat/completions", model="mistral-small")
    client.batch.jobs.list()
    client.batch.jobs.get(job_id="0815")
    going = only(seen)
    client.batch.jobs.cancel(job_id="0815")
    assert (going.model, going.stage, going.progress, going.provider) == (
        "mistral-small",
        "running",
        0.75,
        "mistral_ai",
    )
    assert only(seen).stage == "cancellation_requested"
    *_, last = midspan.watch("0815", client=client)
    assert (last.status, last.counts and last.counts.failed) == ("completed", 1)


# --- cohere -------------------------------------------------------------------------------------------


def test_an_embed_job_of_cohere_s(seen: Captured) -> None:
    pytest.importorskip("cohere", reason="cohere is not installed")
    client = cohere_client({"job_id": "e1"}, {"embed_jobs": [embed_job("processing")]}, embed_job("complete"))
    client.embed_jobs.create(model="embed-v4", dataset_id="d", input_type="search_document")
    client.embed_jobs.list()
    assert (only(seen).operation_type, only(seen).name, only(seen).stage) == ("batch", "embed_job", "processing")
    *_, last = midspan.watch("e1", client=client, kind="embed_job")
    assert last.status == "completed"


def test_a_batch_and_a_fine_tuning_of_cohere_s(seen: Captured) -> None:
    going, done = cohere_batch("IN_PROGRESS", 1), cohere_batch("COMPLETED", 4)
    model, ready = cohere_model("FINETUNING"), cohere_model("READY", completed_at=ENDED)
    pytest.importorskip("cohere", reason="cohere is not installed")
    client = cohere_client({"batch": going}, {"finetuned_model": model}, {"finetuned_model": ready}, {"batch": done})
    client.batches.retrieve("b1")
    client.finetuning.get_finetuned_model("f1")
    first, second = seen.operations
    client.finetuning.with_raw_response.get_finetuned_model("f1")
    client.batches.with_raw_response.retrieve("b1")
    assert (first.name, first.stage, first.progress) == ("batch", "in_progress", 0.25)
    assert (second.operation_type, second.model, second.stage) == ("fine_tuning", "command", "finetuning")
    assert [each.status for each in seen.operations] == ["completed", "completed"]


# --- bedrock ------------------------------------------------------------------------------------------


@pytest.fixture
def bedrock() -> Callable[..., Any]:
    """Makes a client that gets these answers: pairs of an operation and its answer."""
    pytest.importorskip("botocore", reason="botocore is not installed")
    return bedrock_client


def test_a_batch_of_bedrock_s(bedrock: Callable[..., Any], seen: Captured) -> None:
    going = invocation_job("InProgress", totalRecordCount=200, successRecordCount=40, errorRecordCount=10)
    client = bedrock(
        ("create_model_invocation_job", {"jobArn": ARN}),
        ("get_model_invocation_job", going),
        ("list_model_invocation_jobs", {"invocationJobSummaries": []}),
        ("stop_model_invocation_job", {}),
        ("get_model_invocation_job", invocation_job("Stopped", endTime=NOW)),
    )
    client.create_model_invocation_job(
        jobName="mine", roleArn="arn:aws:iam::123456789012:role/mine", modelId="amazon.nova-lite",
        inputDataConfig={"s3InputDataConfig": {"s3Uri": "s3://bucket/in"}},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://bucket/out"}},
    )  # fmt: skip
    assert only(seen).stage == "submitted"
    client.get_model_invocation_job(jobIdentifier=ARN)
    client.list_model_invocation_jobs()
    found = only(seen)
    client.stop_model_invocation_job(jobIdentifier=ARN)
    assert only(seen).stage == "stopping"
    client.get_model_invocation_job(jobIdentifier=ARN)
    assert (found.operation_type, found.provider, found.stage) == ("batch", "aws.bedrock", "in_progress")
    assert (found.completed, found.total, found.progress) == (50, 200, 0.25)
    assert only(seen).status == "cancelled"


def test_a_job_of_bedrock_s_is_watched_by_its_arn(bedrock: Callable[..., Any], seen: Captured) -> None:
    job = invocation_job("InProgress"), invocation_job("Failed", message="no access", endTime=NOW)
    client = bedrock(*(("get_model_invocation_job", each) for each in job))
    shown = list(midspan.watch(ARN, client=client))
    assert [each.status for each in shown] == ["running", "failed"]
    assert shown[-1].model == "amazon.nova-lite"
    assert shown[-1].error is not None and shown[-1].error.type == "Failed"


def test_a_job_that_bedrock_does_not_know_has_failed(bedrock: Callable[..., Any], seen: Captured) -> None:
    client = bedrock(("get_model_invocation_job", 404))
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        list(midspan.watch(ARN, client=client))
    assert only(seen).status == "failed"


def test_other_calls_of_aws_pass_by(bedrock: Callable[..., Any], seen: Captured) -> None:
    bedrock(("list_jobs", {"JobListEntries": []}), service="snowball").list_jobs()
    bedrock(("list_foundation_models", {"modelSummaries": []})).list_foundation_models()
    assert seen.operations == []


# --- the tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", jobs.PROVIDERS)
def test_every_callable_of_a_table_is_there(name: str, seen: Captured) -> None:
    """Of those that are not marked as belonging to some releases only, all; and of the others at least some."""
    table = jobs.load(name)
    assert table is not None
    if name not in SDKS:
        pytest.skip(f"{name} is not installed")
    found = [_is_there(target.module, target.qualname) for target in (*table.targets, *table.calls)]
    if not any(found):
        pytest.skip(f"this version of {name} has no jobs")
    wanted = [target.optional for target in (*table.targets, *table.calls)]
    assert all(there or optional for there, optional in zip(found, wanted, strict=True))


def _is_there(module: str, qualname: str) -> bool:
    try:
        owner: Any = importlib.import_module(module)
        for part in qualname.split("."):
            owner = getattr(owner, part)
    except (ImportError, AttributeError):
        return False
    return True


def test_a_provider_whose_jobs_are_over_with_their_calls_cannot_be_watched() -> None:
    with pytest.raises(ValueError, match="the jobs of ollama are over with the calls that make them"):
        watching.watch_by_name("ollama", "llama3.2")
