"""Seed S0, "Progress Tracking System for LLM Gateway": its examples restated, and what each promises.

Same calls and names; only the import lines and the bodies written as `...` differ. The rows of its REST API belong to
the dialect that serves them.
"""

from __future__ import annotations

import asyncio
import unittest
from datetime import UTC, datetime

import openai
import pytest

from midspan import (
    ProgressRegistry,
    ProgressTracker,
    Status,
    get_progress_registry,
    get_progress_tracker,
    track_llm_progress,
    track_progress,
)
from midspan.models import Operation, OperationType
from midspan.testing import FakeClock
from tests.seeds import test_progress


def basic_usage() -> tuple[ProgressTracker, Operation]:
    # Create a progress tracker
    tracker = ProgressTracker(operation_id="example-operation", operation_type="general", total_steps=5)

    # Update progress
    tracker.update(1, "Step 1 completed")
    tracker.update(2, "Step 2 completed")
    tracker.update(3, "Step 3 completed")
    tracker.update(4, "Step 4 completed")
    tracker.update(5, "Step 5 completed")

    # Mark as completed
    tracker.complete("All steps completed")

    # Get progress details
    progress = tracker.get_progress_details()
    print(f"Progress: {progress.percent_complete}% - {progress.message}")
    return tracker, progress


def test_s0_02_09_27_29_30_31_32_33_basic_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Keyword constructor without a registry, steps and messages, completion, details with percent and message."""
    _, progress = basic_usage()
    assert capsys.readouterr().out == "Progress: 100.0% - All steps completed\n"
    assert progress.status is Status.COMPLETED


def test_s0_10_12_13_14_15_what_a_tracker_holds() -> None:
    """Current and total steps, messages, start and end, step history, metadata."""
    before = datetime.now(UTC).timestamp()
    _, progress = basic_usage()
    assert (progress.step, progress.total_steps) == (5, 5)
    assert progress.started_at is not None
    assert progress.ended_at is not None
    assert before - 1 <= progress.started_at <= progress.ended_at
    messages = [event.message for event in progress.history if event.type == "update"]
    assert messages == [f"Step {step} completed" for step in range(1, 6)]
    with_metadata = ProgressTracker(operation_id="m", metadata={"user": "u1"})
    assert with_metadata.get_progress_details().metadata == {"user": "u1"}


def test_s0_11_50_the_five_statuses() -> None:
    """pending, running, completed, failed, cancelled, with explicit failure and cancellation."""
    tracker = ProgressTracker(operation_id="a")
    assert tracker.status == "pending"
    tracker.update(1, "on")
    assert tracker.status == "running"
    tracker.complete()
    assert tracker.status == "completed"
    failed, cancelled = ProgressTracker(operation_id="b"), ProgressTracker(operation_id="c")
    failed.fail(ValueError("broken"))
    cancelled.cancel("not needed")
    assert (failed.status, cancelled.status) == ("failed", "cancelled")
    assert failed.get_progress_details().error.type == "ValueError"  # type: ignore[union-attr]
    assert cancelled.get_progress_details().status_reason == "not needed"


def test_s0_03_16_34_35_36_using_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    """A process-wide registry creates trackers and lists them all."""
    # Get the registry
    registry = get_progress_registry()

    # Create a tracker through the registry
    tracker = registry.create_tracker(operation_id="example-registry", operation_type="general", total_steps=3)

    # Update progress
    tracker.update(1, "Step 1 completed")
    tracker.update(2, "Step 2 completed")
    tracker.update(3, "Step 3 completed")

    # Mark as completed
    tracker.complete("All steps completed")

    # Get all trackers
    all_trackers = registry.get_all_trackers()
    print(f"Number of trackers in registry: {len(all_trackers)}")

    assert capsys.readouterr().out == "Number of trackers in registry: 1\n"
    assert registry is get_progress_registry()
    assert isinstance(registry, ProgressRegistry)


def test_s0_17_18_19_retrieving_active_and_old_trackers(registry: ProgressRegistry, clock: FakeClock) -> None:
    """By id; the active ones; cleaning up old ones."""
    done = registry.create_tracker(operation_id="done")
    registry.create_tracker(operation_id="running-one")
    done.complete()
    found = registry.get_tracker("done")
    assert found is not None
    assert found.get_progress_details().status is Status.COMPLETED
    assert [tracker.operation_id for tracker in registry.get_active_trackers()] == ["running-one"]
    clock.advance(60)
    assert registry.cleanup(older_than=120) == 0
    assert registry.cleanup(older_than=30) == 1
    assert registry.get_tracker("done") is None
    assert registry.get_tracker("running-one") is not None


@track_progress(operation_type=OperationType.GENERAL, total_steps=4)
async def process_data(data: object) -> object:
    # Get the current tracker
    tracker = get_progress_tracker()

    # Step 1: Validate data
    tracker.update(1, "Validating data")
    await asyncio.sleep(0)

    # Step 2: Process data
    tracker.update(2, "Processing data")
    await asyncio.sleep(0)

    # Step 3: Analyze results
    tracker.update(3, "Analyzing results")
    if data == "broken":
        raise ValueError("cannot analyze")

    # Step 4: Generate report
    tracker.update(4, "Generating report")

    return {"status": "success", "message": "Data processed successfully"}


def test_s0_04_20_37_39_40_41_using_decorators() -> None:
    """The current tracker inside; the value passed through; completed without a call of complete()."""
    result = asyncio.run(process_data([1, 2]))
    assert result == {"status": "success", "message": "Data processed successfully"}
    (operation,) = get_progress_registry().operations()
    assert (operation.name, operation.status, operation.step) == ("process_data", Status.COMPLETED, 4)
    assert (operation.percent_complete, operation.message) == (100.0, "Generating report")


def test_s0_08_errors_are_tracked_by_themselves() -> None:
    """An exception fails the operation with its error, and is raised."""
    with pytest.raises(ValueError, match="cannot analyze"):
        asyncio.run(process_data("broken"))
    (operation,) = get_progress_registry().operations()
    assert operation.status is Status.FAILED
    assert operation.error is not None
    assert (operation.error.type, operation.error.message) == ("ValueError", "cannot analyze")
    assert operation.percent_complete == 75.0


def test_s0_37_the_current_tracker_is_safe_under_concurrency() -> None:
    """Each of many concurrent calls writes to its own operation."""

    async def main() -> None:
        await asyncio.gather(*(process_data(number) for number in range(20)))

    asyncio.run(main())
    operations = get_progress_registry().operations()
    assert len(operations) == 20
    assert {operation.step for operation in operations} == {4}


def test_s0_39_plain_functions_too() -> None:
    """The decorators work on `def` as on `async def`."""

    @track_progress(operation_type="general", total_steps=1)
    def plain() -> str:
        get_progress_tracker().update(1, "Only step")
        return "value"

    assert plain() == "value"
    assert get_progress_registry().operations()[0].status is Status.COMPLETED


@track_llm_progress(operation_type=OperationType.LLM_REQUEST, total_steps=3)
async def generate_text(prompt: str, model: str = "gpt-4", temperature: float = 0.7) -> dict[str, object]:
    # Get the current tracker
    tracker = get_progress_tracker()

    # Step 1: Prepare request
    tracker.update(1, "Preparing LLM request")
    await asyncio.sleep(0)

    # Step 2: Send request to LLM
    tracker.update(2, "Sending request to LLM")
    await asyncio.sleep(0)

    # Step 3: Process response
    tracker.update(3, "Processing LLM response")

    return {"model": model, "prompt": prompt, "response": "Generated text..."}


def test_s0_21_llm_specific_tracking() -> None:
    """The model and the temperature are captured, the prompt is not."""
    result = asyncio.run(generate_text("Tell me a secret", temperature=0.1))
    assert result == {"model": "gpt-4", "prompt": "Tell me a secret", "response": "Generated text..."}
    (operation,) = get_progress_registry().operations()
    assert (operation.operation_type, operation.model) == ("llm_request", "gpt-4")
    assert operation.metadata == {"temperature": 0.1}
    assert "secret" not in repr(operation)


def test_s0_01_28_38_operation_types() -> None:
    """Strings and members are the same; there are members for requests, batches and fine-tuning."""
    for given in ("general", OperationType.GENERAL):
        assert ProgressTracker(operation_type=given).get_progress_details().operation_type == "general"
    assert {OperationType.LLM_REQUEST, OperationType.BATCH, OperationType.FINE_TUNING} == {
        "llm_request",
        "batch",
        "fine_tuning",
    }


def test_s0_05_real_time_updates() -> None:
    """A reader sees each update at once."""
    registry = get_progress_registry()
    with registry.subscribe(eager=True) as changes:
        tracker = ProgressTracker(operation_id="live", total_steps=2)
        seen = []
        for step in (1, 2):
            tracker.update(step, f"Step {step}")
            seen += [operation.message for operation in changes.take()]
    assert seen == ["Step 1", "Step 2"]


def test_s0_42_a_gateways_client_is_seen_with_the_calls_of_its_providers(client: openai.OpenAI) -> None:
    """Its own method by the decorator; what the provider's SDK does below it, by itself."""

    class Gateway:
        @track_llm_progress(total_steps=2)
        def generate(self, model: str, prompt: str) -> str:
            tracker = get_progress_tracker()
            tracker.update(1, "Sending the request to the provider")
            answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
            tracker.update(2, "Processing the response")
            return answer.model

    assert Gateway().generate("ok", "Why is the sky blue?") == "ok-0001"
    call, gateway = sorted(get_progress_registry().operations(), key=lambda each: each.parent_id is None)
    assert call.parent_id == gateway.operation_id
    assert (gateway.step, gateway.status, call.provider, call.status) == (2, "completed", "openai", "completed")


def test_s0_49_its_test_suite_runs_with_unittest() -> None:
    """`python -m unittest tests.seeds.test_progress`."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(test_progress)
    result = unittest.TestResult()
    suite.run(result)
    assert (result.testsRun, result.failures, result.errors) == (7, [], [])
