from __future__ import annotations

from midspan.server import changes as changes_module
from midspan.server.changes import Changes


def read(changes: Changes, tracker) -> list[tuple[str | None, int, str, bool]]:
    found = changes.read(tracker.get_progress_details())
    return [(each.stage, each.sequence, str(each.status), due) for each, due in found]


def test_a_stage_that_came_and_went_is_told_all_the_same(registry, clock) -> None:
    changes, tracker = Changes(clock()), registry.create_tracker("a")
    tracker.start()
    assert read(changes, tracker) == [(None, 1, "running", False)]
    for stage in ("one", "two", "three"):
        tracker.enter_stage(stage)
    assert read(changes, tracker) == [
        ("one", 2, "running", True),
        ("two", 3, "running", True),
        ("three", 4, "running", True),
    ]


def test_progress_within_a_stage_is_not_due(registry, clock) -> None:
    changes, tracker = Changes(clock()), registry.create_tracker("a")
    tracker.enter_stage("one")
    read(changes, tracker)
    tracker.update(1)
    assert read(changes, tracker) == [("one", 3, "running", False)]


def test_an_ending_is_due_and_comes_after_the_stages_before_it(registry, clock) -> None:
    changes, tracker = Changes(clock()), registry.create_tracker("a")
    tracker.enter_stage("one")
    tracker.enter_stage("two")
    tracker.complete()
    assert [(stage, status, due) for stage, _, status, due in read(changes, tracker)] == [
        ("one", "running", True),
        ("two", "running", True),
        ("two", "completed", True),
    ]


def test_what_an_operation_was_is_told_without_what_came_later(registry, clock) -> None:
    changes, tracker = Changes(clock()), registry.create_tracker("a", total_steps=4)
    tracker.enter_stage("one", "first")
    clock.advance(5)
    tracker.update(2)
    tracker.enter_stage("two", "second")
    clock.advance(5)
    tracker.fail(ValueError("no"))
    (first, _), (second, _), (now, _) = list(changes.read(tracker.get_progress_details()))
    assert (first.message, first.progress, first.elapsed_seconds, first.stages_completed) == ("first", None, 0, ())
    assert (second.message, second.progress, second.elapsed_seconds) == ("second", 0.5, 5)
    assert second.stages_completed == ("one",)
    assert [first.error, second.error, second.ended_at] == [None] * 3
    assert now.error is not None
    assert [event.type for event in second.history] == ["start", "stage", "update", "stage"]


def test_what_happened_before_the_first_look_is_not_told_again(registry, clock) -> None:
    tracker = registry.create_tracker("a")
    tracker.enter_stage("one")
    clock.advance(1)
    changes = Changes(clock())
    tracker.enter_stage("two")
    tracker.enter_stage("three")
    assert [stage for stage, *_ in read(changes, tracker)] == ["two", "three"]


def test_an_id_that_is_used_again_is_another_operation(registry, clock) -> None:
    changes = Changes(clock())
    for _ in range(2):
        tracker = registry.create_tracker("a")
        tracker.enter_stage("one")
        assert [stage for stage, *_ in read(changes, tracker)] == ["one"]
        tracker.cancel("enough")
        clock.advance(1)


def test_what_is_remembered_is_bounded(registry, clock, monkeypatch) -> None:
    monkeypatch.setattr(changes_module, "MAX_KNOWN", 3)
    changes = Changes(clock())
    for number in range(9):
        read(changes, registry.create_tracker(f"op-{number}"))
    assert len(changes._told) == 3
