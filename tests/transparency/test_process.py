"""A call of an instrumented SDK leaves the process as it would without."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

import midspan_instrumentation as instrumentation
from midspan.core.retention import Limits
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import MESSAGES
from tests.transparency.conftest import Client, clients


@pytest.fixture
def client() -> Iterator[Client]:
    """Instrumented, and used once, so that everything is imported."""
    instrumentation.apply()
    made = clients()
    call(made)
    asyncio.run(call_async(made))
    yield made
    instrumentation.undo()


def call(client: Client) -> None:
    client.sync.chat.completions.create(model="ok", messages=MESSAGES)
    assert [*client.sync.chat.completions.create(model="ok", messages=MESSAGES, stream=True)]


async def call_async(client: Client) -> None:
    await client.own.chat.completions.create(model="ok", messages=MESSAGES)
    stream = await client.own.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
    assert [chunk async for chunk in stream]


def state_of_the_process() -> dict[str, object]:
    return {
        "warnings": list(warnings.filters),
        "show": warnings.showwarning,
        "modules": sorted(sys.modules),
        "handlers": list(logging.getLogger().handlers),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "collector": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
    }


def test_a_call_starts_no_thread_and_changes_no_filter_no_module_and_no_hook(client: Client) -> None:
    before, threads = state_of_the_process(), set(threading.enumerate())
    call(client)
    asyncio.run(call_async(client))
    assert state_of_the_process() == before
    # Older SDKs have worker threads of their own, which may end meanwhile.
    assert [thread.name for thread in set(threading.enumerate()) - threads] == []


def test_a_sync_call_makes_no_event_loop(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made.append("a loop"))
    monkeypatch.setattr(asyncio, "run", lambda *_: made.append("a run"))
    call(client)
    assert made == []


def test_a_sync_call_inside_a_running_loop_leaves_that_loop_running(client: Client) -> None:
    async def run() -> None:
        loop, threads = asyncio.get_running_loop(), threading.active_count()
        call(client)
        assert asyncio.get_running_loop() is loop
        assert threading.active_count() == threads

    asyncio.run(run())


def test_eight_threads_calling_at_once_leave_the_warning_filters_alone(client: Client) -> None:
    before = list(warnings.filters)
    threads = [threading.Thread(target=call, args=(client,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_calls_with_distinct_ids_are_evicted_by_number(client: Client) -> None:
    """Nothing of a finished call stays anywhere but in the registry's bounded store."""
    registry = get_progress_registry()
    limits = registry.retention.limits
    registry.retention.limits = Limits(operations=20)
    try:
        for _ in range(40):
            call(client)
        registry.settle()
        gc.collect()
        assert len(registry.retention) == 20
        assert registry.running() == []
        assert kept_alive("State") <= 20
        assert kept_alive("Watch") == kept_alive("Call") == 0
    finally:
        registry.retention.limits = limits


def kept_alive(kind: str) -> int:
    """Objects of a class of midspan's that somebody still refers to."""
    return sum(
        type(found).__name__ == kind and type(found).__module__.startswith("midspan") for found in gc.get_objects()
    )
