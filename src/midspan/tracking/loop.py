"""`track`: the loop form, `for item in track(items): …`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar, overload

from midspan.core import failures
from midspan.core.operation import OperationType, Status
from midspan.tracking.arguments import number, text
from midspan.tracking.run import Recipe, tracked
from midspan.tracking.tracker import ProgressTracker, get_progress_tracker

T = TypeVar("T")


@overload
def track(items: Iterable[T], name: str = ..., total: float | None = ..., unit: str | None = ...) -> Iterator[T]: ...
@overload
def track(
    items: AsyncIterable[T], name: str = ..., total: float | None = ..., unit: str | None = ...
) -> AsyncIterator[T]: ...
def track(
    items: Iterable[T] | AsyncIterable[T], name: str = "loop", total: float | None = None, unit: str | None = None
) -> Iterator[T] | AsyncIterator[T]:
    """The items of a sync or async iterable, one by one, as an operation of type `loop` that counts them.

    An item counts as done when the next one is asked for. `total` is `len(items)` where there is one; `unit` is what an
    item is called. The operation begins with the first item, completes behind the last, and is cancelled ("closed
    early") when the loop is left before. An exception in the loop's own body is not seen: that too is leaving early.
    One raised by the items fails the operation. Raises TypeError for what cannot be iterated.
    """
    size = _size(items) if total is None else number("total", total)
    recipe = Recipe(OperationType.LOOP, text("name", name), options={"total": size, "unit": unit})
    loop: Callable[..., Any] = _async_loop if isinstance(items, AsyncIterable) else _loop
    if loop is _loop and not (hasattr(items, "__iter__") or hasattr(items, "__getitem__")):
        raise TypeError(f"track() needs an iterable, not {type(items).__name__}")
    return tracked(loop, recipe)(items, size)


def _size(items: object) -> float | None:
    try:
        return len(items) if isinstance(items, Sized) else None
    except TypeError:  # some types have a len() that only some of their values can answer
        return None
    except Exception:
        failures.report("track")
        return None


def _loop(items: Iterable[T], size: float | None) -> Iterator[T]:
    tracker = get_progress_tracker()
    for handed_out, item in enumerate(items, 1):
        try:
            yield item
        except GeneratorExit:
            _left(tracker, handed_out, size)
            raise
        tracker.advance()


async def _async_loop(items: AsyncIterable[T], size: float | None) -> AsyncIterator[T]:
    tracker, handed_out = get_progress_tracker(), 0
    async for item in items:
        handed_out += 1
        try:
            yield item
        except GeneratorExit:
            _left(tracker, handed_out, size)
            raise
        tracker.advance()


def _left(tracker: ProgressTracker, handed_out: int, size: float | None) -> None:
    """The loop was left in the middle of an item; with the last one everything has been handed out."""
    try:
        if size is not None and handed_out >= size:
            tracker.registry.drop(tracker.state, Status.COMPLETED, "closed at the last item")
    except Exception:
        failures.report("track")
