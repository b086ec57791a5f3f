from __future__ import annotations

import pytest

from midspan.core.retention import Limits
from midspan.core.selection import EVERYTHING, Selection
from midspan.server import resume
from midspan.server.resume import EventId, beginning_of_many, resume_one
from midspan.server.tokens import Access
from midspan.tracking.tracker import ProgressRegistry

EPOCH = 17
ALL = Access()


def ids(beginning: resume.Beginning) -> list[str]:
    return [operation.operation_id for operation in beginning.operations]


def at(clock, seconds: float = 0.0) -> EventId:
    return EventId(EPOCH, int((clock() + seconds) * 1000))


@pytest.mark.parametrize("text", ["1-2", "1700000000000000000-15"])
def test_an_event_id_is_read_as_it_was_written(text: str) -> None:
    assert str(EventId.read(text)) == text


@pytest.mark.parametrize("text", ["", "-", "1-", "-1", "1-2-3", "a-1", "1-\u0661", " 1-2", "1-2\n", "9" * 30 + "-1"])
def test_what_is_no_event_id_is_not_read(text: str) -> None:
    assert EventId.read(text) is None


def test_one_operation_is_resumed_with_the_stages_that_were_entered_since(registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.enter_stage("one")
    last = EventId.of(tracker.get_progress_details())
    assert resume_one(tracker.get_progress_details(), last) == ()
    tracker.enter_stage("two")
    tracker.enter_stage("three")
    tracker.update(1)
    missed = resume_one(tracker.get_progress_details(), last)
    assert missed is not None
    assert [(each.stage, each.sequence) for each in missed] == [("two", 3), ("three", 4), ("three", 5)]


def test_a_stage_that_is_the_newest_change_is_told_once(registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.enter_stage("one")
    missed = resume_one(tracker.get_progress_details(), EventId(tracker.state.epoch, 1))
    assert missed is not None
    assert [each.sequence for each in missed] == [2]


def test_one_operation_is_not_resumed_from_another_life_from_the_future_or_from_what_was_forgotten(registry) -> None:
    tracker = registry.create_tracker("a")
    for step in range(100):
        tracker.update(step)
    operation = tracker.get_progress_details()
    assert resume_one(operation, EventId(operation.epoch + 1, 3)) is None
    assert resume_one(operation, EventId(operation.epoch, operation.sequence + 1)) is None
    assert resume_one(operation, EventId(operation.epoch, 3)) is None
    assert resume_one(operation, EventId(operation.epoch, 60)) is not None


def test_a_snapshot_of_many_has_what_runs(registry, clock) -> None:
    registry.create_tracker("ended").complete()
    registry.create_tracker("runs").start()
    beginning = beginning_of_many(registry, EVERYTHING, ALL, None, EPOCH)
    assert (ids(beginning), beginning.is_resumed, beginning.is_reset) == (["runs"], False, False)
    assert beginning.event_id == at(clock)


@pytest.mark.parametrize("wanted", [Selection(ids=frozenset({"ended"})), Selection(root="ended")])
def test_a_snapshot_of_certain_operations_has_their_endings_too(registry, wanted) -> None:
    registry.create_tracker("ended").complete()
    registry.create_tracker("runs").start()
    assert ids(beginning_of_many(registry, wanted, ALL, None, EPOCH)) == ["ended"]


def test_a_snapshot_is_bounded_and_says_so(registry, monkeypatch) -> None:
    monkeypatch.setattr(resume, "MAX_ROWS", 3)
    for number in range(3):
        registry.create_tracker(f"op-{number}")
    assert beginning_of_many(registry, EVERYTHING, ALL, None, EPOCH).is_complete
    registry.create_tracker("op-3")
    beginning = beginning_of_many(registry, EVERYTHING, ALL, None, EPOCH)
    assert (len(beginning.operations), beginning.is_complete) == (3, False)


def test_many_are_resumed_with_what_has_changed_since_oldest_change_first(registry, clock) -> None:
    early, first, second = (registry.create_tracker(name) for name in ("early", "first", "second"))
    early.start()
    clock.advance(30)
    last = at(clock)
    second.update(1)
    clock.advance(1)
    first.complete()
    beginning = beginning_of_many(registry, EVERYTHING, ALL, last, EPOCH)
    assert (ids(beginning), beginning.is_resumed) == (["second", "first"], True)


def test_many_are_resumed_from_a_little_before_because_quiet_changes_are_told_late(registry, clock) -> None:
    registry.create_tracker("a").update(1)
    clock.advance(1)
    assert ids(beginning_of_many(registry, EVERYTHING, ALL, at(clock), EPOCH)) == ["a"]
    clock.advance(resume.MARGIN_SECONDS)
    assert ids(beginning_of_many(registry, EVERYTHING, ALL, at(clock), EPOCH)) == []


def test_many_are_resumed_with_what_has_left_those_that_are_wanted(registry, clock) -> None:
    tracker = registry.create_tracker("a")
    tracker.start()
    running = Selection(statuses=frozenset({"running"}))
    last = at(clock)
    tracker.complete()
    assert ids(beginning_of_many(registry, running, ALL, last, EPOCH)) == ["a"]


def test_many_are_resumed_with_what_is_stalled_which_is_no_update(registry, clock) -> None:
    registry.create_tracker("a").update(1)
    clock.advance(1000)
    registry.pulse(clock())
    assert ids(beginning_of_many(registry, EVERYTHING, ALL, at(clock), EPOCH)) == ["a"]


def test_many_are_not_resumed_from_another_hub(registry, clock) -> None:
    registry.create_tracker("a").start()
    beginning = beginning_of_many(registry, EVERYTHING, ALL, EventId(EPOCH + 1, at(clock).place), EPOCH)
    assert (ids(beginning), beginning.is_reset, beginning.is_resumed) == (["a"], True, False)


def test_many_are_not_resumed_when_endings_since_then_were_forgotten(clock) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits(operations=1))
    last = at(clock)
    clock.advance(10)
    for name in ("a", "b"):
        registry.create_tracker(name).complete()
    assert beginning_of_many(registry, EVERYTHING, ALL, last, EPOCH).is_reset
    clock.advance(10)
    assert beginning_of_many(registry, EVERYTHING, ALL, at(clock), EPOCH).is_resumed


def test_many_are_not_resumed_with_more_than_a_snapshot_holds(registry, clock, monkeypatch) -> None:
    monkeypatch.setattr(resume, "MAX_ROWS", 3)
    last = at(clock)
    for number in range(4):
        registry.create_tracker(f"op-{number}").start()
    assert beginning_of_many(registry, EVERYTHING, ALL, last, EPOCH).is_reset


def test_a_principal_begins_with_its_own(registry, clock) -> None:
    for name, principal in (("mine", "ann"), ("other", "bob"), ("nobodys", None)):
        tracker = registry.create_tracker(name)
        tracker.state.principal = principal
        tracker.start()
    ann = Access("write", "ann")
    assert ids(beginning_of_many(registry, EVERYTHING, ann, None, EPOCH)) == ["mine"]
    assert ids(beginning_of_many(registry, EVERYTHING, ann, at(clock), EPOCH)) == ["mine"]
    assert len(beginning_of_many(registry, EVERYTHING, Access("admin", "ann"), None, EPOCH).operations) == 3
