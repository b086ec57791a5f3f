from __future__ import annotations

import json

import pytest

from midspan.core.wire import to_dict
from midspan.server import rows as rows_module
from midspan.server.resume import EventId
from midspan.server.rows import Rows
from tests.server.live import parse


@pytest.fixture
def tracker(registry):
    return registry.create_tracker("a")


@pytest.fixture
def made() -> list[int]:
    """The sequence numbers of the rows that were made."""
    return []


@pytest.fixture
def rows(made) -> Rows:
    def row(operation):
        made.append(operation.sequence)
        return to_dict(operation)

    return Rows(row)


def test_a_change_is_encoded_once_however_many_readers_it_goes_to(rows, made, tracker) -> None:
    tracker.update(1)
    operation, event_id = tracker.get_progress_details(), EventId(1, 2)
    assert len({id(rows.encoded(operation)) for _ in range(5)}) == 1
    assert len({id(rows.framed(operation, event_id)) for _ in range(5)}) == 1
    assert made == [2]
    tracker.update(2)
    rows.framed(tracker.get_progress_details(), event_id)
    assert made == [2, 3]


def test_a_change_is_framed_for_streams_of_one_and_of_many(rows, tracker) -> None:
    operation = tracker.get_progress_details()
    ids = [EventId.of(operation), EventId.among(operation, 5)]
    frames = [parse(rows.framed(operation, each).decode().strip().split("\n")) for each in ids]
    assert [each.id for each in frames] == [str(each) for each in ids]
    assert frames[0].json == frames[1].json


def test_a_change_has_no_history_and_an_ending_has(rows, tracker) -> None:
    tracker.update(1)
    running = json.loads(rows.encoded(tracker.get_progress_details()))
    tracker.complete()
    ended = json.loads(rows.encoded(tracker.get_progress_details()))
    assert "history" not in running
    assert [event["type"] for event in ended["history"]] == ["start", "update", "end"]


def test_the_same_id_in_another_life_is_another_operation(rows, registry, clock) -> None:
    seen: set[bytes] = set()
    for name in ("first", "second"):
        tracker = registry.create_tracker("a", name=name)
        tracker.cancel("enough")
        seen.add(rows.encoded(tracker.get_progress_details()))
        clock.advance(1)
    assert len(seen) == 2


def test_what_is_kept_is_bounded(rows, tracker, monkeypatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_KEPT", 5)
    for step in range(20):
        tracker.update(step)
        rows.framed(tracker.get_progress_details(), EventId(1, 2))
    assert len(rows._kept) == 5


def test_what_is_kept_is_bounded_in_bytes_too(rows, registry, monkeypatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_KEPT_BYTES", 20_000)
    for number in range(10):
        tracker = registry.create_tracker(f"op-{number}")
        tracker.complete(result="x" * 3_000)
        ending = rows.framed(tracker.get_progress_details(), EventId(1, 2))
    assert rows._size == sum(map(len, rows._kept.values())) <= 20_000
    assert ending in rows._kept.values()


def test_a_snapshot_has_as_many_rows_as_fit_into_a_message(rows, registry) -> None:
    operations = []
    for number in range(50):
        tracker = registry.create_tracker(f"op-{number}")
        tracker.update(1, "x" * 500, **{f"key-{number}": "v" * 250 for number in range(32)})
        operations.append(tracker.get_progress_details())
    first, rest = rows.snapshot(operations)
    assert 0 < len(first) < 50
    assert [*first, *rest][len(first) :] == operations[len(first) :]
    assert sum(map(len, first)) < rows_module.MAX_SNAPSHOT_BYTES + 12_000
    assert rows.snapshot([]) == ([], [])
