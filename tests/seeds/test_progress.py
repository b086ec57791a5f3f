"""Seed S0's test suite, in the shape that the seed has it: `python -m unittest tests.seeds.test_progress`."""

from __future__ import annotations

import asyncio
import unittest

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


class TrackerTest(unittest.TestCase):
    """One operation."""

    def test_steps_and_completion(self) -> None:
        tracker = ProgressTracker(operation_id="steps", operation_type="general", total_steps=4)
        tracker.update(1, "Step 1 completed")
        assert tracker.get_progress_details().percent_complete == 25.0
        tracker.complete("All steps completed")
        assert tracker.get_progress_details().message == "All steps completed"

    def test_failure(self) -> None:
        tracker = ProgressTracker(operation_id="fails")
        tracker.fail(ValueError("no data"))
        assert tracker.status is Status.FAILED

    def test_cancellation(self) -> None:
        tracker = ProgressTracker(operation_id="cancelled")
        tracker.cancel("not needed")
        assert tracker.status is Status.CANCELLED


class RegistryTest(unittest.TestCase):
    """Many operations."""

    def setUp(self) -> None:
        self.registry = ProgressRegistry()

    def test_a_tracker_is_found_by_its_id_while_it_runs(self) -> None:
        self.registry.create_tracker(operation_id="one", operation_type="general", total_steps=2).update(1)
        found = self.registry.get_tracker("one")
        assert found is not None
        assert found.get_progress_details().step == 1
        assert [each.operation_id for each in self.registry.get_active_trackers()] == ["one"]

    def test_what_has_ended_is_cleaned_up(self) -> None:
        self.registry.create_tracker(operation_id="one").complete()
        assert self.registry.cleanup() == 1
        assert len(self.registry.get_all_trackers()) == 0


class DecoratorTest(unittest.TestCase):
    """Functions."""

    def test_the_result_is_passed_through_and_the_operation_completed(self) -> None:
        @track_progress(operation_type="general", total_steps=2)
        def work() -> tuple[str, str]:
            tracker = get_progress_tracker()
            tracker.update(1, "half")
            return tracker.operation_id, "done"

        operation_id, result = work()
        operation = get_progress_registry().get(operation_id)
        assert operation is not None
        assert (result, operation.status) == ("done", Status.COMPLETED)

    def test_an_error_of_a_coroutine_function_is_its_operations(self) -> None:
        seen: list[str] = []

        @track_llm_progress(total_steps=1)
        async def ask() -> None:
            seen.append(get_progress_tracker().operation_id)
            raise ValueError("no model")

        with pytest.raises(ValueError, match="no model"):
            asyncio.run(ask())
        operation = get_progress_registry().get(seen[0])
        assert operation is not None and operation.error is not None
        assert operation.error.message == "no model"
