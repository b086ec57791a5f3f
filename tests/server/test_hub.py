from __future__ import annotations

import asyncio
import gc
import os

import pytest

from midspan.core import failures
from midspan.core.operation import Operation
from midspan.server.hub import MAX_READERS_OF_PRINCIPAL, Hub
from midspan.server.problem import Problem
from midspan.server.reader import Reader


@pytest.fixture
def hub(registry) -> Hub:
    return Hub(registry)


def ids(operations: list[Operation]) -> list[str]:
    return [operation.operation_id for operation in operations]


async def until(reader: Reader, count: int) -> list[Operation]:
    """Changes, until there are `count`."""
    found: list[Operation] = []
    while len(found) < count:
        changed = await reader.next(20)
        assert changed, f"{len(found)} of {count} came"
        found += changed
    return found


def test_every_reader_is_told_of_what_it_wants(registry, hub) -> None:
    async def read() -> list[list[str]]:
        readers = [
            hub.open(),
            hub.open(operation_id="b"),
            hub.open(lambda each: each.operation_type == "batch"),
        ]
        registry.create_tracker("a", "batch").complete()
        registry.create_tracker("b").complete()
        found = [ids(await until(reader, count)) for reader, count in zip(readers, (2, 1, 1), strict=True)]
        for reader in readers:
            reader.close()
        return found

    assert asyncio.run(read()) == [["a", "b"], ["b"], ["a"]]


def test_a_burst_of_stages_reaches_a_reader_stage_by_stage(registry, hub) -> None:
    async def read() -> list[tuple[str | None, str]]:
        async with hub.open(operation_id="a") as reader:
            tracker = registry.create_tracker("a")
            for stage in ("one", "two", "three"):
                tracker.enter_stage(stage)
            tracker.complete()
            return [(each.stage, str(each.status)) for each in await until(reader, 4)]

    running = [(stage, "running") for stage in ("one", "two", "three")]
    assert asyncio.run(read()) == [*running, ("three", "completed")]


def test_the_registry_is_watched_from_the_first_reader_to_the_last(registry, hub) -> None:
    async def read() -> list[bool]:
        seen = [registry.watched]
        first, second = hub.open(), hub.open()
        seen.append(registry.watched)
        first.close()
        seen.append(registry.watched)
        second.close()
        return [*seen, registry.watched]

    assert asyncio.run(read()) == [False, True, True, False]
    assert hub.reader_count == 0


def test_the_hub_serves_one_event_loop_after_the_other(registry, hub) -> None:
    async def read(name: str) -> list[str]:
        async with hub.open() as reader:
            registry.create_tracker(name).complete()
            return ids(await until(reader, 1))

    assert [asyncio.run(read(name)) for name in ("a", "b")] == [["a"], ["b"]]


def test_an_event_loop_that_was_closed_with_readers_in_it_holds_nothing(registry, hub) -> None:
    async def leave() -> None:
        hub.open()

    async def look() -> tuple[int, int]:
        async with hub.open():
            return hub.reader_count, len(registry._subscriptions)

    asyncio.run(leave())
    gc.collect()
    assert asyncio.run(look()) == (1, 1)


def test_no_more_readers_than_the_limit(registry) -> None:
    async def fill() -> Problem:
        hub = Hub(registry, max_readers=3)
        readers = [hub.open() for _ in range(3)]
        with pytest.raises(Problem) as refused:
            hub.open()
        readers.pop().close()
        hub.open().close()
        for reader in readers:
            reader.close()
        return refused.value

    problem = asyncio.run(fill())
    assert (problem.status, problem.headers) == (503, {"retry-after": "5"})


def test_one_principal_has_twenty_readers_and_others_have_their_own(hub) -> None:
    async def fill() -> Problem:
        readers = [hub.open(principal="ann") for _ in range(MAX_READERS_OF_PRINCIPAL)]
        readers += [hub.open(principal="bob"), hub.open()]
        with pytest.raises(Problem) as refused:
            hub.open(principal="ann")
        for reader in readers:
            reader.close()
        return refused.value

    problem = asyncio.run(fill())
    assert (problem.status, problem.headers) == (429, {"retry-after": "5"})


def test_closing_the_hub_from_another_thread_ends_every_reader_after_what_is_pending(registry, hub) -> None:
    async def read() -> tuple[list[str], list[str], bool]:
        async with hub.open() as reader:
            registry.create_tracker("a").complete()
            found = ids(await until(reader, 1))
            await asyncio.to_thread(hub.close)
            return found, ids(await reader.next(20)), reader.closed

    assert asyncio.run(read()) == (["a"], [], True)


def test_an_ending_just_before_the_hub_closes_is_told(registry, hub) -> None:
    async def read() -> list[tuple[str, str]]:
        async with hub.open() as reader:
            await asyncio.sleep(0)  # the hub's task begins to wait
            registry.create_tracker("a").complete()
            hub.close()
            return [(each.operation_id, str(each.status)) for each in await reader.next(20)]

    assert asyncio.run(read()) == [("a", "completed")]


def test_a_closed_hub_takes_no_reader_until_its_app_lives_again(hub) -> None:
    async def open_twice() -> None:
        hub.close()
        with pytest.raises(Problem, match="about to stop"):
            hub.open()
        hub.reopen()
        hub.open().close()

    asyncio.run(open_twice())


def test_a_failure_inside_ends_the_readers_and_is_reported(registry, hub, monkeypatch) -> None:
    monkeypatch.setattr(failures, "raising", False)

    async def read() -> bool:
        async with hub.open(lambda _: 1 / 0) as reader:  # pyright: ignore[reportArgumentType]
            registry.create_tracker("a").complete()
            await reader.next(20)
            return reader.closed

    assert asyncio.run(read())
    assert failures.counts()["hub"] == 1
    assert not registry.watched


def test_the_readers_of_one_operation_are_counted(hub) -> None:
    async def count() -> list[int]:
        readers = [hub.open(operation_id="a"), hub.open(operation_id="a"), hub.open()]
        seen = [hub.readers_of("a"), hub.readers_of("b")]
        for reader in readers:
            reader.close()
        return [*seen, hub.readers_of("a")]

    assert asyncio.run(count()) == [2, 0, 0]


def test_a_forked_child_has_no_readers_and_opens_its_own(registry, hub) -> None:
    async def fork() -> int:
        async with hub.open():
            child = os.fork()
            if child == 0:
                os._exit(asyncio_in_child(registry, hub))
            return child

    child = asyncio.run(fork())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def asyncio_in_child(registry, hub: Hub) -> int:
    """0 when a new loop in the child gets its own reader and its own changes."""
    asyncio.events._set_running_loop(None)

    async def read() -> bool:
        async with hub.open() as reader:
            registry.create_tracker("child").complete()
            return hub.reader_count == 1 and ids(await reader.next(20)) == ["child"]

    try:
        return 0 if asyncio.run(read()) else 1
    except BaseException:
        return 2
