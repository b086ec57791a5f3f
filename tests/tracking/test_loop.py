"""`track`: the loop form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from midspan.core import failures
from midspan.models import Operation, Status
from midspan.tracking.loop import track
from midspan.tracking.tracker import get_progress_registry, get_progress_tracker


def only() -> Operation:
    (operation,) = get_progress_registry().operations()
    return operation


def test_every_item_comes_through_and_is_counted() -> None:
    seen = [(item, only().completed) for item in track(["a", "b", "c"], name="letters", unit="letter")]
    assert seen == [("a", None), ("b", 1), ("c", 2)]
    assert (only().name, only().operation_type, only().unit) == ("letters", "loop", "letter")
    assert (only().status, only().completed, only().total, only().progress) == (Status.COMPLETED, 3, 3, 1.0)


def test_without_a_length_the_progress_is_unknown() -> None:
    for _ in track(item for item in range(3)):
        assert (only().total, only().progress) == (None, None)
    assert only().status is Status.COMPLETED


def test_a_total_can_be_given() -> None:
    assert list(track(iter(range(2)), total=2)) == [0, 1]
    assert only().total == 2


def test_leaving_early_cancels() -> None:
    for item in track(range(5)):
        if item == 2:
            break
    assert (only().status, only().status_reason, only().completed) == (Status.CANCELLED, "closed early", 2)


def test_leaving_at_the_last_item_completes() -> None:
    for item in track(range(3)):
        if item == 2:
            break
    assert only().status is Status.COMPLETED


def test_an_exception_of_the_items_fails_and_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(track(items()))
    assert only().status is Status.FAILED


def test_an_exception_in_the_body_is_leaving_early() -> None:
    def failing() -> None:
        for _ in track(range(3)):
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert only().status is Status.CANCELLED


def test_no_items_complete_at_once() -> None:
    assert list(track([])) == []
    assert only().status is Status.COMPLETED


def test_it_is_current_while_the_items_are_made_and_not_in_the_body() -> None:
    inside: list[str] = []

    def items() -> Iterator[int]:
        inside.append(get_progress_tracker().get_progress_details().name)
        yield 1

    for _ in track(items(), name="mine"):
        assert get_progress_tracker().get_progress_details().name != "mine"
    assert inside == ["mine"]


def test_async_items_are_tracked_alike() -> None:
    async def items() -> AsyncIterator[int]:
        for item in range(3):
            await asyncio.sleep(0)
            yield item

    async def main() -> list[int]:
        return [item async for item in track(items(), total=3)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert (only().completed, only().status) == (3, Status.COMPLETED)


def test_leaving_async_items_early_cancels() -> None:
    async def items() -> AsyncIterator[int]:
        for item in range(3):
            yield item

    async def main() -> None:
        loop = track(items())
        async for _ in loop:
            break
        await loop.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert only().status is Status.CANCELLED


def test_an_old_style_sequence_can_be_iterated() -> None:
    class Old:
        def __getitem__(self, index: int) -> int:
            return [10, 20][index]

    assert list(track(Old())) == [10, 20]  # type: ignore[call-overload]


def test_what_cannot_be_iterated_raises_at_once() -> None:
    with pytest.raises(TypeError, match="iterable"):
        track(3)  # type: ignore[call-overload]


def test_a_failing_length_does_not_break_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)

    class Odd(list[int]):
        def __len__(self) -> int:
            raise OSError

    assert list(iter(track(Odd([1, 2])))) == [1, 2]
