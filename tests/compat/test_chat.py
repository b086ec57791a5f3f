"""Seed S2's tracker: an awaited `update(stage, percent, message)`, and a callback that gets its events."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from midspan.compat.chat import ProgressTracker, create_progress_aware_task
from midspan.core.operation import Operation
from midspan.models import Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

Event = dict[str, Any]


def operation(registry: ProgressRegistry, task_id: str = "task_123") -> Operation:
    found = registry.get(task_id)
    assert found is not None
    return found


def test_s2_02_03_04_the_awaited_update_moves_the_task_and_tells_the_callback(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    told: list[Event] = []

    async def main() -> None:
        tracker = await create_progress_aware_task("task_123", told.append, streaming=True, registry=registry)
        await tracker.update("analyzing_rag", 25, "正在映射神明識別碼...")
        clock.advance(0.5)
        await tracker.update("generating_llm", 75, "結合傳統智慧與現代解釋...")

    asyncio.run(main())
    now = operation(registry)
    assert (now.status, now.stage, now.progress) == (Status.RUNNING, "generating_llm", 0.75)
    assert now.message == "結合傳統智慧與現代解釋..."
    assert now.metadata == {"streaming_enabled": True}
    assert told == [
        {
            "type": "enhanced_progress",
            "stage": "analyzing_rag",
            "progress": 25,
            "message": "正在映射神明識別碼...",
            "timestamp": "2023-11-14T22:13:20.000Z",
        },
        {
            "type": "enhanced_progress",
            "stage": "generating_llm",
            "progress": 75,
            "message": "結合傳統智慧與現代解釋...",
            "timestamp": "2023-11-14T22:13:20.500Z",
        },
    ]


def test_an_update_is_one_change_with_all_of_it(registry: ProgressRegistry) -> None:
    """No reader sees the new stage with the old percentage."""
    tracker = ProgressTracker("task_123", registry=registry)
    with registry.subscribe(eager=True) as changes:
        tracker.update("analyzing_rag", 25, "first")
        tracker.update("generating_llm", 65, "second")
        (seen,) = changes.take()
    stages = [(event.stage, event.progress, event.message) for event in seen.history if event.type == "stage"]
    assert stages == [("analyzing_rag", 0.25, "first"), ("generating_llm", 0.65, "second")]


def test_an_update_need_not_be_awaited(registry: ProgressRegistry) -> None:
    """Ruling C3: it has happened before anybody awaits it."""
    tracker = ProgressTracker("task_123", registry=registry)
    tracker.update("processing", 5, "begins")
    assert operation(registry).stage == "processing"


def test_a_number_as_first_argument_is_a_step(registry: ProgressRegistry) -> None:
    """Ruling C3: one tolerant method for the signatures of S0 and S2."""
    tracker = ProgressTracker("task_123", registry=registry)
    tracker.tracker.update(total_steps=4)
    tracker.update(2, "half")
    assert (operation(registry).step, operation(registry).message) == (2, "half")


def test_a_callback_that_is_a_coroutine_function_is_awaited(registry: ProgressRegistry) -> None:
    told: list[Event] = []

    async def callback(event: Event) -> None:
        await asyncio.sleep(0)
        told.append(event)

    async def main() -> None:
        tracker = await create_progress_aware_task("task_123", callback, registry=registry)
        await tracker.update("processing", 5, "one")
        assert [event["message"] for event in told] == ["one"]

    asyncio.run(main())


def test_events_arrive_in_their_order_when_nobody_awaits(registry: ProgressRegistry) -> None:
    told: list[str] = []

    async def callback(event: Event) -> None:
        await asyncio.sleep(0)
        told.append(event["message"])

    async def main() -> None:
        tracker = await create_progress_aware_task("task_123", callback, registry=registry)
        tracker.update("processing", 1, "one")
        tracker.update("processing", 2, "two")
        await tracker.update("processing", 3, "three")

    asyncio.run(main())
    assert told == ["one", "two", "three"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_callback_that_raises_is_logged_once_and_nothing_else(
    registry: ProgressRegistry, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    def broken(event: Event) -> None:
        raise ValueError("broken pipe")

    async def broken_async(event: Event) -> None:
        raise ValueError("broken pipe")

    async def main() -> None:
        tracker = await create_progress_aware_task("task_123", broken_async if is_async else broken, registry=registry)
        await tracker.update("processing", 1, "one")
        await tracker.update("processing", 2, "two")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert operation(registry).message == "two"
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]


def test_a_callback_that_never_ends_has_few_events_before_it(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midspan.compat.chat.MAX_DELIVERIES", 10)
    called: list[Event] = []

    async def stuck(event: Event) -> None:
        called.append(event)
        await asyncio.Event().wait()

    async def main() -> int:
        tracker = await create_progress_aware_task("task_123", stuck, registry=registry)
        for number in range(17):
            tracker.update("generating_llm", number / 100, "x")
        await asyncio.sleep(0)
        return tracker.dropped

    assert asyncio.run(main()) == 7
    assert len(called) == 10
    assert operation(registry).progress == pytest.approx(0.0016)


def test_without_an_event_loop_a_coroutine_callback_is_logged_once_and_nothing_else(
    registry: ProgressRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """As from a thread: warnings are errors here, that of a coroutine which nobody has awaited too."""

    async def told(event: Event) -> None:
        raise AssertionError(event)

    tracker = ProgressTracker("task_123", told, registry=registry)
    tracker.update("analyzing_rag", 10, "a")
    tracker.update("analyzing_rag", 20, "b")
    assert [record.message.partition(":")[0] for record in caplog.records] == ["midspan"]
    assert operation(registry).progress == 0.2


def test_completing_and_failing_end_the_task(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker("done", registry=registry)
    tracker.complete({"response": "yes"}, "解釋生成完成")
    assert operation(registry, "done").result == {"response": "yes"}
    assert operation(registry, "done").message == "解釋生成完成"
    ProgressTracker("broken", registry=registry).fail(ValueError("no such deity"))
    assert operation(registry, "broken").status is Status.FAILED


def test_a_late_update_is_dropped_and_says_nothing_new(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker("task_123", registry=registry)
    tracker.complete({})
    tracker.update("generating_llm", 10, "late")
    now = operation(registry)
    assert (now.status, now.progress, now.stage) == (Status.COMPLETED, 1.0, None)


def test_percentages_out_of_range_are_clamped(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker("task_123", registry=registry)
    tracker.update("processing", 250, "too far")
    assert operation(registry).progress == 1.0


def test_a_task_that_runs_already_is_joined(registry: ProgressRegistry) -> None:
    """The operation of a task that the API has started is the one that is written to."""
    registry.create_tracker("task_123", metadata={"deity_id": "guan_yu"})
    tracker = ProgressTracker("task_123", streaming=False, registry=registry)
    tracker.update("processing", 5, "joined")
    assert operation(registry).metadata == {"deity_id": "guan_yu"}
    assert len(registry.running()) == 1


def test_without_a_registry_it_is_the_process_wide_one() -> None:
    tracker = asyncio.run(create_progress_aware_task())
    assert get_progress_registry().state(tracker.task_id) is tracker.tracker.state


def test_a_bad_id_raises() -> None:
    with pytest.raises(ValueError, match="reserved"):
        ProgressTracker("operations")
