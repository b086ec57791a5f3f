"""The tracker and the registry that makes it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from midspan.models import OperationType, Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry, get_progress_tracker


def test_constructing_registers_a_pending_operation(registry: ProgressRegistry) -> None:
    registry.create_tracker("a", "batch", 3)
    operation = registry.get("a")
    assert operation is not None
    assert (operation.status, operation.operation_type, operation.total_steps) == ("pending", "batch", 3)
    assert operation.progress is None


def test_the_first_update_starts_it(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker(total_steps=4)
    clock.advance(2)
    tracker.update(1, "on its way")
    details = tracker.get_progress_details()
    assert details.status is Status.RUNNING
    assert details.started_at == clock.now
    assert (details.message, details.progress, details.percent_complete) == ("on its way", 0.25, 25.0)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({"step": 6}, 1.0), ({"step": -1}, 0.0), ({"progress": 7}, 1.0), ({"progress": -0.5}, None)],
)
def test_a_value_out_of_range_is_clamped_and_counted(
    registry: ProgressRegistry, given: dict[str, float], wanted: float | None
) -> None:
    tracker = registry.create_tracker(total_steps=5)
    tracker.update(**given)
    assert (tracker.get_progress_details().progress or None) == (wanted or None)
    assert tracker.state.dropped == 1


def test_nan_is_dropped_and_counted(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    tracker.update(progress=0.5)
    tracker.update(progress=float("nan"))
    assert tracker.get_progress_details().progress == 0.5
    assert tracker.state.dropped == 1


def test_progress_never_falls(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=10)
    for step in (5, 3, 6):
        tracker.update(step)
    assert [event.step for event in tracker.get_progress_details().history] == [None, 5, 5, 6]


def test_progress_holds_when_the_total_grows(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=10)
    tracker.update(5)
    tracker.update(6, total_steps=100)
    assert tracker.get_progress_details().progress == 0.5


def test_progress_may_fall_where_that_was_asked_for(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(allow_regress=True)
    tracker.update(progress=0.8)
    tracker.update(progress=0.2)
    assert tracker.get_progress_details().progress == 0.2


def test_full_progress_is_not_completion(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=1)
    tracker.update(1)
    details = tracker.get_progress_details()
    assert (details.progress, details.status) == (1.0, Status.RUNNING)


def test_terminal_is_final(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker()
    tracker.complete("done")
    ended = tracker.get_progress_details()
    clock.advance(5)
    tracker.update(progress=0.1)
    tracker.advance()
    tracker.enter_stage("late")
    tracker.fail("too late")
    tracker.cancel()
    late = tracker.get_progress_details()
    assert (late.status, late.message, late.ended_at) == (ended.status, "done", ended.ended_at)
    assert late.progress == 1.0
    assert tracker.state.dropped == 5


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda t: t.complete(), Status.COMPLETED),
        (lambda t: t.fail(ValueError("no")), Status.FAILED),
        (lambda t: t.cancel("not wanted"), Status.CANCELLED),
    ],
)
def test_each_ending_is_kept_by_the_registry(registry: ProgressRegistry, make: object, status: Status) -> None:
    tracker = registry.create_tracker("x")
    make(tracker)
    kept = registry.get("x")
    assert kept is not None
    assert kept.status is status
    assert registry.running() == []


def test_a_failure_keeps_type_and_first_line_only(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    tracker.fail(ValueError("first line\nsecond line"))
    error = tracker.get_progress_details().error
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "first line")


def test_a_with_block_completes(registry: ProgressRegistry) -> None:
    with registry.create_tracker() as tracker:
        assert get_progress_tracker() is tracker
        assert tracker.status is Status.RUNNING
    assert tracker.status is Status.COMPLETED


def test_a_with_block_fails_with_its_exception(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    error = KeyError("k")
    with pytest.raises(KeyError) as caught, tracker:
        raise error
    assert caught.value is error
    assert tracker.status is Status.FAILED


def test_a_cancelled_task_cancels_its_async_with_block(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()

    async def work() -> None:
        async with tracker:
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    details = tracker.get_progress_details()
    assert (details.status, details.status_reason) == (Status.CANCELLED, "task cancelled")


def test_an_ending_inside_the_block_stands(registry: ProgressRegistry) -> None:
    with registry.create_tracker() as tracker:
        tracker.cancel("changed my mind")
    assert tracker.status is Status.CANCELLED


def test_a_tracker_made_inside_another_is_its_child(registry: ProgressRegistry) -> None:
    with registry.create_tracker("outer"):
        inner = registry.create_tracker("inner")
    details = inner.get_progress_details()
    assert (details.parent_id, details.root_id) == ("outer", "outer")


def test_children_roll_up_by_weight(registry: ProgressRegistry) -> None:
    parent = registry.create_tracker("p", expect_children=2)
    heavy = registry.create_tracker(parent=parent, weight=3)
    light = registry.create_tracker(parent="p")
    heavy.update(progress=0.5)
    light.complete()
    details = parent.get_progress_details()
    assert details.progress == pytest.approx((3 * 0.5 + 1) / 4)
    assert details.progress_source == "children"


def test_declared_children_count_before_they_start(registry: ProgressRegistry) -> None:
    parent = registry.create_tracker(expect_children=4)
    registry.create_tracker(parent=parent).complete()
    assert parent.get_progress_details().progress == 0.25


def test_a_declared_child_that_has_not_started_weighs_one(registry: ProgressRegistry) -> None:
    parent = registry.create_tracker(expect_children=3)
    registry.create_tracker(parent=parent, weight=8).complete()
    assert parent.get_progress_details().progress == 0.8


def test_more_children_than_declared_never_make_more_than_a_whole(registry: ProgressRegistry) -> None:
    parent = registry.create_tracker(expect_children=1)
    shown: list[float | None] = []
    for _ in range(3):
        with registry.create_tracker(parent=parent):
            pass
        shown.append(parent.get_progress_details().progress)
    assert shown == [1.0, 1.0, 1.0]


def test_while_nobody_says_how_many_children_there_will_be_the_progress_is_unknown(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    parent = registry.create_tracker()
    parent.start()
    for _ in range(3):
        clock.advance(1.0)
        registry.create_tracker(parent=parent).complete()
        details = parent.get_progress_details()
        assert (details.progress, details.progress_source) == (None, None)
        assert details.estimated_remaining_seconds is None


def test_a_deadline_in_seconds_and_as_datetime_are_the_same(registry: ProgressRegistry, clock: FakeClock) -> None:
    at = datetime.fromtimestamp(clock.now, UTC) + timedelta(seconds=90)
    by_seconds = registry.create_tracker(deadline=90).get_progress_details()
    by_datetime = registry.create_tracker(deadline=at).get_progress_details()
    assert by_seconds.deadline_at == by_datetime.deadline_at == clock.now + 90


@pytest.mark.parametrize("call", [
    lambda t: t.update("one"),
    lambda t: t.update(1.5),
    lambda t: t.update(message=1),
    lambda t: t.update(progress="half"),
    lambda t: t.advance("two"),
    lambda t: t.enter_stage(3),
])  # fmt: skip
def test_a_wrong_type_raises_and_changes_nothing(registry: ProgressRegistry, call: object) -> None:
    tracker = registry.create_tracker()
    with pytest.raises(TypeError):
        call(tracker)
    assert tracker.state.sequence == 0


@pytest.mark.parametrize("operation_id", ["", "a b", "-x", "a/b", "x" * 129, "stream", "summary", "é"])
def test_an_id_that_no_surface_could_address_raises(registry: ProgressRegistry, operation_id: str) -> None:
    with pytest.raises(ValueError, match="operation_id"):
        registry.create_tracker(operation_id)


def test_an_id_of_another_type_raises(registry: ProgressRegistry) -> None:
    with pytest.raises(TypeError, match="operation_id"):
        registry.create_tracker(7)  # type: ignore[arg-type]


def test_an_id_is_free_again_once_its_operation_has_ended(registry: ProgressRegistry) -> None:
    registry.create_tracker("a").complete()
    registry.create_tracker("a")
    with pytest.raises(ValueError, match="already running"):
        registry.create_tracker("a")


def test_step_takes_what_says_it_is_an_int(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=2)
    tracker.update(True)
    assert tracker.get_progress_details().step == 1


def test_data_becomes_metadata(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(metadata={"kept": 1})
    tracker.update(rows=5, rows_failed=0)
    assert tracker.get_progress_details().metadata == {"kept": 1, "rows": 5, "rows_failed": 0}


def test_metadata_is_bounded(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    for number in range(100):
        tracker.update(**{f"key{number}": "v" * 1000})
    metadata = tracker.get_progress_details().metadata
    assert metadata is not None
    assert len(metadata) == 32
    assert max(map(len, metadata.values())) == 256


def test_history_of_a_running_operation_is_a_ring(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=1000)
    for step in range(1000):
        tracker.update(step)
    history = tracker.get_progress_details().history
    assert len(history) == 64
    assert history[-1].step == 999


def test_advance_counts_items_and_outcomes(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total=4, unit="file")
    tracker.advance()
    tracker.advance(2, outcome="failed")
    details = tracker.get_progress_details()
    assert (details.completed, details.total, details.unit, details.progress) == (3, 4, "file", 0.75)
    assert details.counts is not None
    assert details.counts.failed == 2


def test_completing_with_items_missing_shows_the_items(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total=4)
    tracker.advance(3)
    tracker.complete()
    assert tracker.get_progress_details().progress == 0.75


def test_stages_are_kept_in_order(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    for stage in ("reading", "writing"):
        tracker.enter_stage(stage)
    details = tracker.get_progress_details()
    assert (details.stage, details.stages_completed) == ("writing", ("reading",))


def test_outside_of_tracked_code_the_current_tracker_is_one_that_nobody_sees() -> None:
    tracker = get_progress_tracker()
    tracker.update(1, "nobody looks")
    assert get_progress_registry().operations() == []


def test_handles_to_ended_operations_read_like_any_other(registry: ProgressRegistry) -> None:
    registry.create_tracker("a", total_steps=2, metadata={"k": 1}).fail(ValueError("no"))
    handle = registry.get_tracker("a")
    assert handle is not None
    assert handle.get_progress_details() == registry.get("a")
    handle.update(2)
    assert registry.get("a").status is Status.FAILED  # type: ignore[union-attr]


def test_the_registry_lists_active_and_all(registry: ProgressRegistry) -> None:
    done, running = registry.create_tracker("done"), registry.create_tracker("running")
    done.complete()
    assert [t.operation_id for t in registry.get_active_trackers()] == [running.operation_id]
    assert {t.operation_id for t in registry.get_all_trackers()} == {"done", "running"}
    assert registry.get_tracker("unknown") is None


def test_operations_are_filtered_and_newest_first(registry: ProgressRegistry, clock: FakeClock) -> None:
    for name, kind in (("a", "batch"), ("b", OperationType.LLM_REQUEST), ("c", "batch")):
        registry.create_tracker(name, kind)
        clock.advance(1)
    registry.get_tracker("c").complete()  # type: ignore[union-attr]
    assert [o.operation_id for o in registry.operations()] == ["c", "b", "a"]
    assert [o.operation_id for o in registry.operations(operation_types=["batch"])] == ["c", "a"]
    assert [o.operation_id for o in registry.operations(statuses=["pending"])] == ["b", "a"]


def test_many_threads_lose_no_count(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total=4000)

    def work() -> None:
        for _ in range(1000):
            tracker.advance()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.get_progress_details().completed == 4000


def test_of_many_endings_at_once_one_counts(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("x")
    threads = [threading.Thread(target=tracker.cancel, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(series.ended[Status.CANCELLED] for series in registry.statistics.series()) == 1


def test_a_warning_is_logged_once_per_tracker(registry: ProgressRegistry, caplog: pytest.LogCaptureFixture) -> None:
    tracker = registry.create_tracker("noisy", total_steps=5)
    for step in (6, 7, 8):
        tracker.update(step)
    assert len([record for record in caplog.records if "noisy" in record.getMessage()]) == 1
