"""`watch` and `on_progress`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from midspan.models import Operation, Status
from midspan.tracking.decorators import track_progress
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker, get_progress_registry
from midspan.tracking.watching import on_progress, watch

Eventually = Callable[..., None]


def test_watching_an_ended_operation_gives_its_last_state() -> None:
    ProgressTracker("a").complete("done")
    assert [(s.status, s.message) for s in watch("a")] == [(Status.COMPLETED, "done")]


def test_watching_gives_the_state_now_then_each_change_until_the_end(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a", total_steps=3)
    seen: list[tuple[str, int | None]] = []
    for snapshot in watch("a", registry=registry):
        seen.append((snapshot.status, snapshot.step))
        tracker.complete() if snapshot.step == 3 else tracker.update((snapshot.step or 0) + 1)
    assert seen == [("pending", None), ("running", 1), ("running", 2), ("running", 3), ("completed", 3)]


def test_watching_async(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a", total_steps=2)

    async def main() -> list[int | None]:
        seen: list[int | None] = []
        async for snapshot in watch("a", registry=registry):
            seen.append(snapshot.step)
            tracker.complete() if snapshot.step == 2 else tracker.update((snapshot.step or 0) + 1)
        return seen

    assert asyncio.run(main()) == [None, 1, 2, 2]


def test_an_unknown_operation_raises() -> None:
    with pytest.raises(LookupError, match="nobody"):
        watch("nobody")


def test_a_watch_that_takes_too_long_raises() -> None:
    ProgressTracker("slow")
    with pytest.raises(TimeoutError):
        list(watch("slow", timeout=0.01))


def test_a_watch_is_told_of_an_ending_in_the_collector() -> None:
    @track_progress
    def numbers() -> Iterator[int]:
        yield 1

    generator: Iterator[int] | None = numbers()
    next(generator)
    (state,) = get_progress_registry().running()
    statuses: list[Status] = []
    for snapshot in watch(state.operation_id, timeout=30):
        statuses.append(snapshot.status)
        generator = None
    assert statuses == [Status.RUNNING, Status.CANCELLED]


def test_a_watch_that_was_left_is_unsubscribed_by_the_next_change(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a")
    for _ in watch("a", registry=registry):
        break
    assert registry.watched
    tracker.update(1)
    assert not registry.watched


def test_leaving_a_watch_takes_no_lock_of_ours(registry: ProgressRegistry) -> None:
    registry.create_tracker("a")
    snapshots = iter(watch("a", registry=registry))
    next(snapshots)
    with registry._lock:
        del snapshots


def test_a_callback_gets_snapshots_in_another_thread(eventually: Eventually) -> None:
    seen: list[tuple[int, Operation]] = []
    with on_progress(lambda operation: seen.append((threading.get_ident(), operation))):
        tracker = ProgressTracker("a", total_steps=2)
        tracker.update(1)
        eventually(lambda: seen and seen[-1][1].step == 1)
        tracker.complete()
        eventually(lambda: seen[-1][1].status is Status.COMPLETED)
    assert {operation.operation_id for _, operation in seen} == {"a"}
    assert threading.get_ident() not in {ident for ident, _ in seen}


def test_an_ending_is_delivered_even_when_the_handle_is_ended_at_once() -> None:
    seen: list[Status] = []
    with on_progress(lambda operation: seen.append(operation.status)):
        ProgressTracker("a").complete()
    assert seen[-1] is Status.COMPLETED


def test_one_operation_can_be_asked_for() -> None:
    seen: list[str] = []
    with on_progress(lambda operation: seen.append(operation.operation_id), operation_id="b"):
        for name in ("a", "b", "c"):
            ProgressTracker(name).complete()
    assert set(seen) == {"b"}


def test_after_unsubscribing_nothing_comes_and_no_thread_is_left() -> None:
    seen: list[Operation] = []
    handle = on_progress(seen.append)
    handle.unsubscribe()
    handle.unsubscribe()
    ProgressTracker("a").complete()
    assert seen == []
    assert not [thread for thread in threading.enumerate() if thread.name == "midspan-on-progress"]


def test_a_callback_may_unsubscribe_itself(eventually: Eventually) -> None:
    seen: list[Operation] = []

    def once(operation: Operation) -> None:
        seen.append(operation)
        handle.unsubscribe()

    handle = on_progress(once)
    ProgressTracker("a")
    eventually(lambda: seen)
    eventually(lambda: not get_progress_registry().watched)


def test_an_exception_of_the_callback_is_logged_once_and_it_goes_on(
    eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int | None] = []

    def failing(operation: Operation) -> None:
        seen.append(operation.step)
        raise ValueError("in the callback")

    with on_progress(failing):
        tracker = ProgressTracker("a", total_steps=3)
        for step in (1, 2, 3):
            tracker.update(step)
            eventually(lambda step=step: seen and seen[-1] == step)
    assert len([record for record in caplog.records if "on_progress" in record.getMessage()]) == 1


def test_a_callback_that_cannot_be_called_raises() -> None:
    with pytest.raises(TypeError, match="callable"):
        on_progress("print")  # type: ignore[arg-type]
