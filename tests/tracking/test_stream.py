"""`ProgressStream`: events, then the result, of any callable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar

import pytest

from midspan.models import Status
from midspan.tracking.decorators import progress, track_progress
from midspan.tracking.stream import ProgressStream
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker, get_progress_registry, get_progress_tracker
from midspan.tracking.watching import watch
from midspan.tracking.worker import Worker

Eventually = Callable[..., None]


@progress
def counting(count: int = 3) -> Iterator[dict[str, object]]:
    for index in range(count):
        yield {"progress": (index + 1) / count, "thread": threading.get_ident()}
    return "counted"


@progress
async def counting_async(count: int = 3) -> AsyncIterator[dict[str, object]]:
    for index in range(count):
        await asyncio.sleep(0)
        yield {"progress": (index + 1) / count, "thread": threading.get_ident()}
    yield {"result": "counted"}


def bare(count: int = 3) -> Iterator[dict[str, object]]:
    for index in range(count):
        yield {"progress": (index + 1) / count, "thread": threading.get_ident()}
    return "counted"


async def gather(stream: ProgressStream[object]) -> list[float]:
    return [event.progress async for event in stream]


@pytest.mark.parametrize("function", [counting, bare])
def test_every_yield_of_a_generator_is_an_event_in_the_callers_thread(function: Callable[..., object]) -> None:
    stream = ProgressStream(function, count=2)
    events = list(stream)
    assert [event.progress for event in events] == [0.5, 1.0]
    assert {event.data["thread"] for event in events} == {threading.get_ident()}
    assert stream.result == "counted"
    assert get_progress_registry().operations()[0].status is Status.COMPLETED


@pytest.mark.parametrize("function", [counting, counting_async, bare])
def test_each_kind_of_generator_can_be_iterated_async(function: Callable[..., object]) -> None:
    stream = ProgressStream(function, 2)
    assert asyncio.run(gather(stream))[:2] == [0.5, 1.0]
    assert stream.result == "counted"


def test_an_async_generator_can_be_iterated_sync() -> None:
    stream = ProgressStream(counting_async, 2)
    events = list(stream)
    assert [event.progress for event in events] == [0.5, 1.0, 1.0]
    assert stream.result == "counted"


def test_the_result_before_any_iteration_drives_it_to_the_end() -> None:
    assert ProgressStream(counting).result == "counted"
    assert ProgressStream(lambda: 7).result == 7


def test_other_tasks_run_between_the_events_of_a_sync_generator() -> None:
    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await gather(ProgressStream(counting, 5))
        task.cancel()
        return turns

    assert asyncio.run(main()) >= 4


def test_it_is_iterated_once() -> None:
    stream = ProgressStream(counting)
    assert len(list(stream)) == 3
    assert list(stream) == []
    assert stream.result == "counted"


@pytest.mark.parametrize("kind", ["generator", "async generator", "function", "coroutine"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_comes_from_the_iteration_and_again_from_the_result(kind: str, is_async: bool) -> None:
    error = OSError("disk")

    def generator() -> Iterator[dict[str, float]]:
        yield {"progress": 0.5}
        raise error

    async def async_generator() -> AsyncIterator[dict[str, float]]:
        yield {"progress": 0.5}
        raise error

    def function() -> None:
        raise error

    async def coroutine() -> None:
        raise error

    made = {"generator": generator, "async generator": async_generator, "function": function, "coroutine": coroutine}
    stream = ProgressStream(made[kind])
    with pytest.raises(OSError, match="disk") as caught:
        asyncio.run(gather(stream)) if is_async else list(stream)
    assert caught.value is error
    with pytest.raises(OSError, match="disk") as again:
        _ = stream.result
    assert again.value is error


def test_leaving_a_generator_early_cancels_it_and_leaves_no_result() -> None:
    stream = ProgressStream(counting)
    for _ in stream:
        break
    assert get_progress_registry().operations()[0].status is Status.CANCELLED
    with pytest.raises(RuntimeError, match="no result"):
        _ = stream.result


# --- any callable -------------------------------------------------------------------------------

request_id: ContextVar[str] = ContextVar("request_id")


def test_a_function_runs_in_a_worker_thread_with_the_callers_context() -> None:
    request_id.set("r-1")
    stream = ProgressStream(lambda: (request_id.get(), threading.get_ident()))
    assert list(stream) == []
    assert stream.result[0] == "r-1"
    assert stream.result[1] != threading.get_ident()


def in_steps(gate: threading.Semaphore) -> str:
    with ProgressTracker("first") as tracker:
        for index in range(3):
            gate.acquire(timeout=30)
            tracker.update(progress=(index + 1) / 4, message=f"at {index}", rows=index)
        gate.acquire(timeout=30)
        nested()
    return "done"


@track_progress
def nested() -> None:
    get_progress_tracker().enter_stage("deep")


def test_the_events_are_those_of_every_operation_under_it() -> None:
    gate = threading.Semaphore(1)
    ProgressTracker("somebody-else").update(progress=0.5)
    stream = ProgressStream(in_steps, gate)
    seen: dict[str, list[float]] = {}
    for event in stream:
        assert event.operation is not None
        steps = seen.setdefault(event.operation.name, [])
        if event.progress > max(steps, default=0.0):
            gate.release()  # one for each step that has been seen, so that none is skipped
        steps.append(event.progress)
        if event.status == "at 0":
            assert event.data == {"rows": 0, "operation_id": "first", "name": "general"}
        if event.data["name"] == "nested" and not event.operation.is_terminal:
            assert event.data.get("stage") in (None, "deep")
    assert set(seen) == {"general", "nested"}
    assert {0.25, 0.5, 0.75, 1.0} <= set(seen["general"])
    assert seen["general"] == sorted(seen["general"])
    assert stream.result == "done"


def test_operations_of_a_coroutine_are_seen_and_run_in_the_callers_loop() -> None:
    async def work() -> object:
        with ProgressTracker("mine") as tracker:
            tracker.update(progress=0.5)
            await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def main() -> tuple[list[float], bool]:
        stream = ProgressStream(work)
        return await gather(stream), stream.result is asyncio.get_running_loop()

    progress_seen, same_loop = asyncio.run(main())
    assert progress_seen[-1] == 1.0
    assert same_loop


def test_a_coroutine_can_be_iterated_sync() -> None:
    async def work(value: int) -> int:
        with ProgressTracker("mine"):
            await asyncio.sleep(0)
        return value

    stream = ProgressStream(work, 5)
    assert [event.progress for event in stream][-1] == 1.0
    assert stream.result == 5


def cooperative(started: threading.Event) -> str:
    with ProgressTracker("loop") as tracker:
        tracker.update(message="begun")
        started.set()
        while not tracker.cancel_requested:
            started.wait(0.01)
        tracker.cancel("asked to")
    return "stopped"


def test_leaving_early_requests_the_cancellation_of_a_function() -> None:
    stream = ProgressStream(cooperative, threading.Event())
    for _ in stream:
        break
    assert stream.result == "stopped"
    assert get_progress_registry().operations()[0].status is Status.CANCELLED


def test_leaving_early_takes_no_lock_of_ours() -> None:
    registry = get_progress_registry()
    stream = ProgressStream(cooperative, started := threading.Event())
    events = iter(stream)
    next(events)
    assert started.wait(30)
    (state,) = registry.running()
    with registry._lock, state.lock:
        del events
        asked_at = state.cancel_requested_at
    assert asked_at is not None
    assert stream.result == "stopped"


@pytest.mark.parametrize("is_async", [False, True])
def test_leaving_early_cancels_a_coroutine(is_async: bool) -> None:
    async def work() -> None:
        async with ProgressTracker("waiting"):
            await asyncio.Event().wait()

    async def leave(stream: ProgressStream[None]) -> None:
        events = aiter(stream)
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]

    stream = ProgressStream(work)
    if is_async:
        asyncio.run(leave(stream))
    else:
        for _ in stream:
            break
        with pytest.raises(asyncio.CancelledError):
            _ = stream.result
    assert [snapshot.status for snapshot in watch("waiting", timeout=30)][-1] is Status.CANCELLED


def test_a_cancelled_consumer_stops_the_call() -> None:
    async def work() -> None:
        async with ProgressTracker("waiting"):
            await asyncio.Event().wait()

    async def main() -> None:
        seen = asyncio.Event()

        async def consume() -> None:
            async for _ in ProgressStream(work):
                seen.set()

        task = asyncio.create_task(consume())
        await seen.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert get_progress_registry().operations()[0].status is Status.CANCELLED


def test_streams_inside_streams_each_see_what_runs_under_them() -> None:
    def inner() -> list[str]:
        return [event.data["name"] for event in ProgressStream(nested)]

    stream = ProgressStream(inner)
    outer_names = {event.data["name"] for event in stream}
    assert outer_names == set(stream.result) == {"nested"}


def test_nothing_stays_subscribed() -> None:
    list(ProgressStream(nested))
    assert not get_progress_registry().watched


def test_what_cannot_be_called_raises() -> None:
    with pytest.raises(TypeError, match="callable"):
        ProgressStream(3)  # type: ignore[arg-type]


def test_what_has_ended_below_a_stream_is_not_held_any_more(registry: ProgressRegistry) -> None:
    worker = Worker(lambda: [ProgressTracker(registry=registry).complete() for _ in range(3)], registry)
    worker.start_thread()
    worker.join()
    assert [operation.status for operation in worker.changes.take()] == ["completed"] * 3
    assert not worker._under._ids
