"""What is counted while a stream is read, and who ends it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from midspan.core import failures
from midspan.core.operation import Status
from midspan.testing import Captured
from midspan.tracking import instrumenting
from midspan_instrumentation._stream import Watch
from midspan_instrumentation.provider import Reading, Request, Target, Usage
from tests.fakes.openai_server import FakeOpenAI
from tests.instrumentation.conftest import MakeAsync
from tests.instrumentation.seen import said

MESSAGES: Any = [{"role": "user", "content": "Does it work?"}]


def read_number(chunk: object) -> int | Reading:
    """Chunks of these tests are numbers of tokens, readings, or what no reader expects."""
    if isinstance(chunk, int | Reading):
        return chunk
    raise TypeError("a chunk of an unknown kind")


def read_nothing(_: object) -> Reading:
    return Reading()


def make_watch(**options: Any) -> Watch:
    tracker = instrumenting.start_call(instrumenting.CallKind("chat", "p", "m"), stream=True)
    target = Target("m", "f", "chat", lambda: Request(), read_nothing, read_number)
    watch = Watch(tracker, target, **{"choices": 1, **options})
    watch.held = False
    return watch


def drain(watch: Watch, chunks: list[object], is_async: bool) -> list[object]:
    """The chunks as the application gets them, from the sync or the async iterator."""

    async def produce() -> AsyncIterator[object]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[object]:
        watching: Any = watch.follow(produce())
        return [chunk async for chunk in watching]

    if is_async:
        return asyncio.run(read())
    watching: Any = watch.follow(iter(chunks))
    return [*watching]


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_every_chunk_passes_and_is_counted(is_async: bool) -> None:
    watch = make_watch()
    chunks: list[object] = [1, 0, 2, Reading(tokens=1)]
    assert chunks == drain(watch, chunks, is_async)
    counts = watch.tracker.counts
    assert (counts.chunks, counts.tokens) == (4, 4)
    assert watch.tracker.status == Status.COMPLETED


@both
def test_counts_rise_with_each_chunk_while_the_application_reads(is_async: bool) -> None:
    watch = make_watch()
    counts, seen = watch.tracker.counts, list[tuple[int, int]]()

    def look(chunk: object) -> object:
        seen.append((counts.chunks, counts.tokens))
        return chunk

    async def produce() -> AsyncIterator[object]:
        for _ in range(3):
            yield 2

    async def read() -> None:
        watching: Any = watch.follow(produce())
        async for chunk in watching:
            look(chunk)

    if is_async:
        asyncio.run(read())
    else:
        watching: Any = watch.follow(iter([2, 2, 2]))
        for chunk in watching:
            look(chunk)
    assert seen == [(1, 2), (2, 4), (3, 6)]


@both
def test_a_reader_that_fails_is_reported_once_and_every_chunk_passes(
    is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    watch = make_watch()
    chunks: list[object] = [1, "what", "what", 1]
    assert chunks == drain(watch, chunks, is_async)
    assert failures.counts() == {"chunk reader": 1}
    assert (watch.tracker.counts.chunks, watch.tracker.counts.tokens) == (4, 1)
    assert watch.tracker.status == Status.COMPLETED


def test_usage_and_the_end_mark_are_kept() -> None:
    watch = make_watch()
    usage = Usage(input=5, output=9)
    drain(watch, [1, Reading(finish_reasons=("stop",)), Reading(usage=usage)], is_async=False)
    operation = watch.tracker.get_progress_details()
    assert operation.tokens is not None
    assert (
        operation.tokens.input,
        operation.tokens.output,
        operation.tokens.estimated,
    ) == (5, 9, False)
    assert operation.stage == "processing_response"
    attributes = said(watch.tracker.state)
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_an_answer_with_two_choices_is_over_at_the_second_end_mark() -> None:
    watch = make_watch(choices=2)
    watching: Any = watch.follow(iter([Reading(finish_reasons=("stop",))] * 2))
    assert not watch.has_end_mark
    next(watching)
    assert not watch.has_end_mark
    next(watching)
    assert watch.has_end_mark


def test_a_stream_closed_after_its_end_mark_is_completed() -> None:
    watch = make_watch()
    watching: Any = watch.follow(iter([Reading(finish_reasons=("stop",)), 0]))
    next(watching)
    watch.body_closed(None)
    assert watch.tracker.status == Status.COMPLETED


def test_the_body_leaves_the_ending_to_the_iterator_that_is_reading_it() -> None:
    """The iterator sees the exception into which the SDK turns the one of the body."""
    watch = make_watch()

    def produce() -> Iterator[object]:
        yield 1
        watch.body_raised(ConnectionError("the transport's"))
        watch.body_closed(None)
        assert not watch.tracker.is_ended
        raise KeyError("the SDK's")

    watching: Any = watch.follow(produce())
    with pytest.raises(KeyError, match="the SDK's"):
        list(watching)
    operation = watch.tracker.get_progress_details()
    assert operation.error is not None
    assert (operation.status, operation.error.type) == (Status.FAILED, "KeyError")


def test_the_body_ends_the_operation_while_nobody_iterates() -> None:
    watch = make_watch()
    watching: Any = watch.follow(iter([1, 1]))
    next(watching)
    watch.body_raised(ConnectionError("the transport's"))
    operation = watch.tracker.get_progress_details()
    assert operation.error is not None
    assert (operation.status, operation.error.type) == (Status.FAILED, "ConnectionError")


def test_an_interrupt_in_mid_stream_cancels_and_passes() -> None:
    watch = make_watch()

    def produce() -> Iterator[object]:
        yield 1
        raise KeyboardInterrupt

    watching: Any = watch.follow(produce())
    with pytest.raises(KeyboardInterrupt):
        list(watching)
    assert watch.tracker.status == Status.CANCELLED
    assert watch.tracker.get_progress_details().status_reason == "interrupted"


def test_nothing_ends_inside_the_garbage_collector(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector may run inside any lock: it only leaves a note, and the pulse ends."""
    stream = client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
    next(stream)
    registry = instrumenting.start_call(instrumenting.CallKind("chat", "p", "m")).registry

    def refuse(*_: object, **__: object) -> bool:
        raise AssertionError("an operation was ended by the collector")

    monkeypatch.setattr(registry, "end", refuse)
    del stream
    gc.collect()
    monkeypatch.undo()
    dropped = seen.operations[0]
    assert (dropped.status, dropped.status_reason) == (Status.CANCELLED, "dropped")


def test_a_stream_dropped_after_its_end_mark_is_completed(client: openai.OpenAI, seen: Captured) -> None:
    stream = client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
    for chunk in stream:
        if chunk.choices[0].finish_reason:
            break
    del stream, chunk
    gc.collect()
    assert [operation.status for operation in seen.operations] == [Status.COMPLETED]


def test_the_stream_is_not_kept_alive_by_its_response(client: openai.OpenAI, seen: Captured) -> None:
    stream = client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
    next(stream)
    response, alive = stream.response, weakref.ref(stream)
    del stream
    gc.collect()
    assert alive() is None
    del response
    gc.collect()
    assert [operation.status for operation in seen.operations] == [Status.CANCELLED]


def test_a_paced_stream_is_seen_growing_and_then_completed(
    client: openai.OpenAI, seen: Captured, server: FakeOpenAI
) -> None:
    server.gate.release()
    stream = client.chat.completions.create(model="gated", messages=MESSAGES, stream=True)
    chunks: list[int | None] = []
    for _ in stream:
        chunks.append(seen.operations[0].chunks)
        assert seen.operations[0].status == Status.RUNNING
        server.gate.release()
    assert chunks == [1, 2, 3, 4, 5]
    assert seen.operations[0].status == Status.COMPLETED


def test_an_async_stream_finished_in_another_task_is_completed(make_async: MakeAsync, seen: Captured) -> None:
    async def read_on(stream: Any) -> None:
        async for _ in stream:
            pass

    async def run() -> None:
        async with make_async() as client:
            stream = await client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
            await anext(aiter(stream))
            await asyncio.create_task(read_on(stream))

    asyncio.run(run())
    assert [operation.status for operation in seen.operations] == [Status.COMPLETED]
