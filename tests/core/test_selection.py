"""Which operations a reader wants, and the newest first."""

from __future__ import annotations

import pytest

from midspan.core.operation import Owner
from midspan.core.retention import Limits
from midspan.core.selection import EVERYTHING, Selection, newest, outlines, position
from midspan.core.state import State
from midspan.tracking.tracker import ProgressRegistry


def ids(registry: ProgressRegistry, wanted: Selection = EVERYTHING, after=None) -> list[str]:
    return [operation.operation_id for operation in newest(registry, wanted, after)]


@pytest.fixture
def some(registry: ProgressRegistry, clock) -> ProgressRegistry:
    """An ended and a running operation, each unlike the other in everything."""
    registry.owner = Owner(service="shop", host="here", pid=7)
    old = registry.create_tracker("old", "batch", name="import", provider="openai", model="gpt", parent="day")
    old.fail(ValueError("Out of Paper"))
    clock.advance(5)
    registry.create_tracker("new", "agent", name="plan", provider="other", model="m/1").update(message="Thinking hard")
    return registry


@pytest.mark.parametrize("settled", [True, False])
def test_running_and_ended_ones_are_given_newest_first(some: ProgressRegistry, settled: bool) -> None:
    if settled:
        some.settle()
    assert ids(some) == ["new", "old"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Selection(ids=frozenset({"old"})), ["old"]),
        (Selection(statuses=frozenset({"failed"})), ["old"]),
        (Selection(types=frozenset({"agent"})), ["new"]),
        (Selection(names=frozenset({"plan", "import"})), ["new", "old"]),
        (Selection(providers=frozenset({"openai"})), ["old"]),
        (Selection(models=frozenset({"m/1"})), ["new"]),
        (Selection(parent="day"), ["old"]),
        (Selection(root="new"), ["new"]),
        (Selection(root="day"), ["old"]),
        (Selection(owner="shop"), ["new", "old"]),
        (Selection(owner="here", types=frozenset({"batch"})), ["old"]),
        (Selection(owner="elsewhere"), []),
        (Selection(text="THINK"), ["new"]),
        (Selection(text="out of paper"), ["old"]),
        (Selection(text="valueerror"), ["old"]),
        (Selection(text="nowhere"), []),
        (Selection(updated_since=1_700_000_005.0), ["new"]),
        (Selection(updated_since=1_700_000_000.0), ["new", "old"]),
        (Selection(types=frozenset({"agent"}), statuses=frozenset({"failed"})), []),
    ],
)
def test_every_given_field_must_match(some: ProgressRegistry, wanted: Selection, expected: list[str]) -> None:
    assert ids(some, wanted) == expected
    assert [operation.operation_id for operation in newest(some) if wanted.matches(operation)] == expected


def test_an_operation_without_an_owner_is_nobodys(registry: ProgressRegistry) -> None:
    registry.create_tracker("one")
    assert ids(registry, Selection(owner="shop")) == []


def test_what_is_beyond_a_position_comes_after_it(registry: ProgressRegistry) -> None:
    for number in range(6):
        tracker = registry.create_tracker(f"op{number}")
        if number % 2:
            tracker.complete()
    operation = registry.get("op3")
    assert operation is not None
    assert ids(registry, after=position(operation)) == ["op2", "op1", "op0"]
    assert ids(registry, after=(0.0, "op3")) == []


def test_what_is_forgotten_while_it_is_read_is_left_out(registry: ProgressRegistry) -> None:
    for name in ("a", "b"):
        registry.create_tracker(name).complete()
    rows = newest(registry)
    assert next(rows).operation_id == "b"
    registry.remove("a")
    assert list(rows) == []


def test_what_ends_while_it_is_read_is_there_once(registry: ProgressRegistry) -> None:
    trackers = [registry.create_tracker(name) for name in ("a", "b")]
    rows = newest(registry)
    seen = [next(rows)]
    for tracker in trackers:
        tracker.complete()
    registry.settle()
    seen += rows
    assert [(each.operation_id, each.status) for each in seen] == [("b", "pending"), ("a", "completed")]


def test_what_ends_between_the_two_looks_is_there_once(registry: ProgressRegistry, monkeypatch) -> None:
    tracker, running = registry.create_tracker("a"), registry.running

    def running_once_more() -> list[State]:
        states = running()
        tracker.complete()
        return states

    monkeypatch.setattr(registry, "running", running_once_more)
    assert ids(registry) == ["a"]


def test_a_new_operation_under_an_old_id_hides_the_old_one(registry: ProgressRegistry, clock) -> None:
    registry.create_tracker("a").complete()
    clock.advance(1)
    registry.create_tracker("a")
    assert [operation.status for operation in newest(registry)] == ["pending"]


def test_a_page_of_many_reads_only_what_is_on_it(clock, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits(operations=300))
    for number in range(300):
        registry.create_tracker(f"op{number:03}", "batch" if number % 2 else "agent").complete()
    kept, read = registry.retention, []
    monkeypatch.setattr(kept, "get", lambda name, get=kept.get: read.append(name) or get(name))
    rows = newest(registry, Selection(types=frozenset({"batch"})))
    assert [next(rows).operation_id for _ in range(3)] == ["op299", "op297", "op295"]
    assert read == ["op299", "op297", "op295"]


def test_outlines_are_oldest_first(some: ProgressRegistry) -> None:
    assert [(each.operation_id, each.parent_id) for each in outlines(some)] == [("old", "day"), ("new", None)]
