"""The workloads: each is a function that returns one number, run in a process of its own by its name."""

from __future__ import annotations

import asyncio
import gc
import math
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.application import QUESTION, client, cpu, streaming, switch_on, traced_provider

Workload = Callable[[], float]
WORKLOADS: dict[str, Workload] = {}


@dataclass(frozen=True, slots=True)
class Budget:
    """What a difference between two workloads may be (design section 8).

    With `by_hand` the limit is a factor: so many times the difference of that workload.
    """

    name: str
    what: str
    workload: str
    baseline: str | None
    limit: float
    unit: str
    by_hand: str | None = None


BUDGETS = (
    Budget("chunk", "one streamed chunk, own work, sync", "chunks.midspan", "chunks.bare", 0.3, "µs"),
    Budget(
        "chunk-async", "one streamed chunk, own work, async", "async_chunks.midspan", "async_chunks.bare", 0.3, "µs"
    ),
    Budget("chunk-read", "one streamed chunk, a live reader attached", "chunks.read", "chunks.bare", 0.5, "µs"),
    Budget("stream", "one chunk of a stream through the SDK", "stream.midspan", "stream.bare", math.inf, "µs"),
    Budget("call-by-hand", "a call's span and a histogram, by hand", "calls.by_hand", "calls.bare", math.inf, "µs"),
    # ADR 13: on the design's machine 80 and 110 µs are so many times the 35 µs of a span and three histograms.
    Budget(
        "call",
        "one call, SDK traces with a batch processor",
        "calls.midspan",
        "calls.bare",
        80 / 35,
        "µs",
        "calls.by_hand",
    ),
    Budget(
        "call-metered",
        "one call, and every metric (by hand: three histograms)",
        "metered.midspan",
        "metered.bare",
        110 / 35,
        "µs",
        "metered.by_hand",
    ),
    Budget("update", "tracker.update, nobody watching", "updates.plain", None, 1.0, "µs"),
    Budget("update-traced", "tracker.update with span events and a reader", "updates.traced", None, 20.0, "µs"),
    Budget("monitor-stage", "one stage of a monitored session, a reader attached", "updates.stages", None, 100.0, "µs"),
    Budget("switch-on", "switching on, in an app that has imported openai", "switching.on", None, 30.0, "ms"),
    Budget("server", "the server's start, apart", "switching.server", "switching.on", 300.0, "ms"),
    Budget("memory", "memory per ended operation of five stages", "memory.ended", None, 2048.0, "B"),
    Budget("scrape", "a scrape with 10,000 running operations", "scrape.midspan", None, 50.0, "ms"),
)


def workload(name: str) -> Callable[[Workload], Workload]:
    """Register a workload under its name."""

    def register(function: Workload) -> Workload:
        WORKLOADS[name] = function
        return function

    return register


# --- streams ------------------------------------------------------------------------------------

CHUNKS = 200_000
STREAMS = 9
"""Streams of ready-made chunks in one process: one alone takes a twentieth of a second, and whatever happens in it."""


def chunk_objects(count: int = CHUNKS) -> list[Any]:
    """Ready-made chunks: what is left to measure is the instrumentation's own work."""
    from openai.types.chat import ChatCompletionChunk

    def chunk(content: str | None, finish: str | None = None) -> Any:
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
        fields = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return ChatCompletionChunk.model_validate(fields)

    return [chunk("word")] * count + [chunk(None, "stop")]


class Replayed:
    """Takes the place of the SDK's private iterator, under whatever the instrumentation has put over it."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks

    def sync(self) -> Iterator[Any]:
        yield from self.chunks

    async def asynchronous(self) -> AsyncIterator[Any]:
        for chunk in self.chunks:
            yield chunk


def replay(asynchronous: bool, count: int = CHUNKS) -> None:
    """Make every stream of the SDK yield the ready-made chunks."""
    from openai import _streaming

    replayed = Replayed(chunk_objects(count))
    if asynchronous:
        _streaming.AsyncStream.__stream__ = lambda _: replayed.asynchronous()  # type: ignore[method-assign]
    else:
        _streaming.Stream.__stream__ = lambda _: replayed.sync()  # type: ignore[method-assign]


def sync_chunks() -> float:
    """µs a chunk, ready-made chunks through a sync stream."""
    replay(asynchronous=False)
    completions = client(streaming).chat.completions

    def one() -> float:
        stream = completions.create(**QUESTION, stream=True)
        return cpu(lambda: [None for _ in stream], CHUNKS, 1e6)

    return statistics.median(one() for _ in range(STREAMS))


@workload("chunks.bare")
def chunks_bare() -> float:
    """Bare iteration."""
    return sync_chunks()


@workload("chunks.midspan")
def chunks_midspan() -> float:
    """Counted by midspan, nobody watching."""
    switch_on()
    return sync_chunks()


@workload("chunks.read")
def chunks_read() -> float:
    """Counted by midspan while a reader takes every change at the pulse's rate."""
    registry = switch_on()
    with registry.subscribe() as subscription:
        import threading

        threading.Thread(target=lambda: list(subscription), daemon=True).start()
        return sync_chunks()


async def async_chunks() -> float:
    """µs a chunk, ready-made chunks through an async stream."""
    replay(asynchronous=True)
    completions = client(streaming, asynchronous=True).chat.completions

    async def one() -> float:
        stream = await completions.create(**QUESTION, stream=True)
        gc.collect()
        begun = time.process_time()
        async for _ in stream:
            pass
        return (time.process_time() - begun) / CHUNKS * 1e6

    return statistics.median([await one() for _ in range(STREAMS)])


@workload("async_chunks.bare")
def async_chunks_bare() -> float:
    """Bare iteration."""
    return asyncio.run(async_chunks())


@workload("async_chunks.midspan")
def async_chunks_midspan() -> float:
    """Counted by midspan, nobody watching."""
    switch_on()
    return asyncio.run(async_chunks())


# --- trackers -----------------------------------------------------------------------------------


@workload("updates.plain")
def updates_plain() -> float:
    """µs an update with a step and a message, nobody watching."""
    import midspan

    count = 200_000
    tracker = midspan.ProgressTracker(total_steps=count)

    def work() -> None:
        for step in range(count):
            tracker.update(step, "working")

    return cpu(work, count, 1e6)


@workload("updates.traced")
def updates_traced() -> float:
    """µs an update while its operation has a recording span and an eager reader."""
    import threading

    import midspan

    registry = switch_on(traced_provider())
    count = 50_000
    tracker = midspan.ProgressTracker(total_steps=count)
    subscription = registry.subscribe(eager=True)
    threading.Thread(target=lambda: list(subscription), daemon=True).start()

    def work() -> None:
        for step in range(count):
            tracker.update(step, "working")

    return cpu(work, count, 1e6)


@workload("updates.stages")
def updates_stages() -> float:
    """µs an `emit_stage` of seed S3's processors while somebody reads along (seed S3-41: about 0.1 ms)."""
    import threading

    from midspan.compat.monitor import BaseProcessor, ProcessingStage
    from midspan.tracking.tracker import get_progress_registry

    count = 20_000
    stages = list(ProcessingStage)
    processor = BaseProcessor({})
    subscription = get_progress_registry().subscribe()
    threading.Thread(target=lambda: list(subscription), daemon=True).start()
    session_id = processor.start_monitoring_session("text", "summarize", "llama")

    def work() -> None:
        for number in range(count):
            processor.emit_stage(session_id, stages[number % len(stages)], "working")

    return cpu(work, count, 1e6)


@workload("memory.ended")
def memory_ended() -> float:
    """Bytes of an ended operation of five stages, as 10,000 of them are kept."""
    import tracemalloc

    from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

    registry = ProgressRegistry()
    stages = (
        "sending_request",
        "waiting_first_chunk",
        "streaming_response",
        "processing_response",
        "collecting_metadata",
    )

    def run(count: int) -> None:
        for _ in range(count):
            tracker = ProgressTracker(None, "llm_request", name="chat", provider="openai", model="m", registry=registry)
            for stage in stages:
                tracker.enter_stage(stage)
            tracker.complete("done")

    run(100)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run(9_900)
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / 9_900


@workload("scrape.midspan")
def scrape() -> float:
    """ms of one scrape with 10,000 running operations."""
    from midspan.telemetry.prometheus import MetricsPage
    from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

    registry = ProgressRegistry()
    for number in range(10_000):
        ProgressTracker(None, "batch", 10, name=f"job-{number % 100}", registry=registry).update(number % 10)
    page = MetricsPage(registry)
    page("text/plain")
    return cpu(lambda: [page("text/plain") for _ in range(5)], 5, 1e3)


# --- switching on -------------------------------------------------------------------------------


def import_openai() -> None:
    """What every application that calls OpenAI has done, and what midspan's imports have in common with it."""
    import openai

    client = openai.OpenAI(api_key="k")
    client.chat.completions.create  # noqa: B018 - loads the lazy module


@workload("switching.on")
def switching_on() -> float:
    """ms until calls are seen. By itself: in a difference of two starts of half a second it is lost."""

    def work() -> None:
        import midspan

        midspan.instrument()

    import_openai()
    return cpu(work, 1, 1e3)


@workload("switching.server")
def switching_server() -> float:
    """The same with the server, until it answers."""
    import urllib.request

    def work() -> None:
        import midspan
        from midspan.runtime.wiring import runtime

        midspan.instrument(server="127.0.0.1:0")
        server = runtime().serving.server
        assert server is not None
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=10) as answer:
            assert answer.status == 200

    import_openai()
    return cpu(work, 1, 1e3)


if __name__ == "__main__":
    print(WORKLOADS[sys.argv[1]]())
