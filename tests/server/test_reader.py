from __future__ import annotations

import asyncio

import pytest

from midspan.server import reader as reader_module
from midspan.server.hub import Hub
from midspan.server.reader import MAX_DUE, MAX_PENDING, Reader


def nobody(_: Reader) -> None: ...


@pytest.fixture
def operation(registry):
    """Snapshots of an operation at a step."""
    trackers = {}

    def at(step: int, name: str = "a", **ending: str):
        tracker = trackers.get(name) or trackers.setdefault(name, registry.create_tracker(name))
        tracker.update(step)
        if ending:
            tracker.cancel(ending["reason"])
        return tracker.get_progress_details()

    return at


def steps(reader: Reader) -> list[int | None]:
    return [operation.step for operation in asyncio.run(reader.next(0))]


def test_progress_that_nobody_has_read_is_replaced_by_newer_progress(operation) -> None:
    reader = Reader(nobody)
    for step in range(5):
        reader.offer(operation(step), due=False)
    assert steps(reader) == [4]
    assert steps(reader) == []


def test_what_is_due_stays_in_line_and_supersedes_progress_before_it(operation) -> None:
    reader = Reader(nobody)
    for step, due in enumerate([False, True, False, False, True, False]):
        reader.offer(operation(step), due)
    assert steps(reader) == [1, 4, 5]


def test_the_oldest_change_comes_first(operation) -> None:
    reader = Reader(nobody)
    for name in "abcab":
        reader.offer(operation(1, name), due=False)
    assert [each.operation_id for each in asyncio.run(reader.next(0))] == ["a", "b", "c"]


def test_a_reader_whose_line_of_due_changes_is_full_keeps_the_newest_states_and_takes_in_no_more(operation) -> None:
    reader = Reader(nobody)
    for step in range(MAX_DUE + 1):
        assert not reader.overflowed
        reader.offer(operation(step), due=True)
    assert reader.overflowed
    reader.offer(operation(5000), due=True)
    reader.offer(operation(1, "b"), due=True)
    assert steps(reader) == [5000]


def test_a_reader_with_too_many_changed_operations_overflows(operation, monkeypatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_PENDING", 3)
    reader = Reader(nobody)
    for name in "abcd":
        reader.offer(operation(1, name), due=False)
    assert reader.overflowed
    assert MAX_PENDING == 10_000


def test_what_leaves_those_that_are_wanted_is_told_once(operation) -> None:
    reader = Reader(nobody, wanted=lambda each: each.status == "running")
    reader.offer(operation(1), due=False)
    reader.offer(operation(2, reason="enough"), due=True)
    reader.offer(operation(3, "b", reason="enough"), due=True)  # was never shown
    assert [(each.operation_id, str(each.status)) for each in asyncio.run(reader.next(0))] == [("a", "cancelled")]


def test_what_a_first_snapshot_has_shown_is_told_when_it_leaves(operation) -> None:
    reader = Reader(nobody, wanted=lambda each: each.status == "running")
    reader.show([operation(1)])
    reader.offer(operation(2, reason="enough"), due=True)
    assert steps(reader) == [2]


def test_waiting_ends_with_a_change_with_time_and_with_the_close(operation) -> None:
    async def wait() -> tuple[list[int | None], list[int | None], bool]:
        reader = Reader(nobody)
        loop = asyncio.get_running_loop()
        loop.call_soon(reader.offer, operation(7), False)
        changed = await reader.next(20)
        silent = await reader.next(0.001)
        loop.call_soon(reader.close)
        await reader.next()
        return [each.step for each in changed], [each.step for each in silent], reader.closed

    assert asyncio.run(wait()) == ([7], [], True)


def test_leaving_the_block_leaves_the_hub(registry) -> None:
    async def read() -> tuple[int, int]:
        hub = Hub(registry)
        async with hub.open():
            inside = hub.reader_count
        return inside, hub.reader_count

    assert asyncio.run(read()) == (1, 0)
