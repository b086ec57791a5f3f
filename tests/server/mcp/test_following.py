"""What is told of an operation while somebody waits for it: growing numbers, not too often."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from midspan.core.operation import Operation, Status
from midspan.server.mcp.following import INTERVAL, Notes
from midspan.testing import FakeClock


def operation(progress: float | None, sequence: int, message: str | None = "working") -> Operation:
    return Operation(
        operation_id="x",
        operation_type="general",
        name="x",
        status=Status.RUNNING,
        progress=progress,
        message=message,
        created_at=0.0,
        updated_at=0.0,
        progressed_at=0.0,
        sequence=sequence,
    )


def told(clock: FakeClock, changes: list[tuple[float, float | None]]) -> list[tuple[float, float, float | None]]:
    """(time, progress, total) of each note, where changes are (seconds since the one before, progress)."""
    notes: list[tuple[float, float, float | None]] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        notes.append((clock.now, progress, total))

    async def main() -> None:
        teller = Notes(report, clock)
        for sequence, (pause, progress) in enumerate(changes):
            clock.advance(pause)
            await teller.tell(operation(progress, sequence))

    asyncio.run(main())
    return notes


CHANGES = st.lists(st.tuples(st.floats(0, 2), st.none() | st.floats(0, 1)), max_size=30)


@settings(max_examples=100, deadline=None)
@given(CHANGES)
def test_numbers_grow_strictly_and_come_twice_a_second_at_most(changes: list[tuple[float, float | None]]) -> None:
    for before, after in pairwise(told(FakeClock(0.0), changes)):
        assert after[1] > before[1]
        assert after[0] - before[0] >= INTERVAL - 1e-9  # times are sums of floats


def test_a_known_progress_is_of_a_hundred_and_an_unknown_one_of_nothing(clock: FakeClock) -> None:
    notes = told(clock, [(0, None), (1, None), (1, 0.25), (1, None), (1, 1.0)])
    assert [(progress, total) for _, progress, total in notes] == [
        (0.001, None),
        (0.002, None),
        (25.0, 100.0),
        (25.001, None),
        (100.0, 100.0),
    ]


def test_nothing_is_told_twice_nor_while_there_is_nothing_to_say(clock: FakeClock) -> None:
    assert told(clock, [(0, 0.0), (1, 0.0)]) == []
    assert len(told(clock, [(0, 0.5), (1, 0.5)])) == 1


def test_what_came_too_soon_is_waited_for_and_nothing_else(clock: FakeClock) -> None:
    async def report(progress: float, total: float | None, message: str | None) -> None: ...

    async def main() -> None:
        notes = Notes(report, clock)
        assert notes.wait(operation(0.1, 1), None) is None
        await notes.tell(operation(0.1, 1))
        assert notes.wait(operation(0.1, 1), None) is None
        assert notes.wait(operation(0.2, 2), None) == INTERVAL
        assert notes.wait(operation(0.2, 2), 0.1) == 0.1
        clock.advance(INTERVAL)
        assert notes.wait(operation(0.2, 2), None) is None

    asyncio.run(main())


def test_without_somebody_to_tell_nothing_is_held_back(clock: FakeClock) -> None:
    assert Notes(None, clock).wait(operation(0.1, 1), 7.0) == 7.0
