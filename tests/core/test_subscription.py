"""Subscriptions: the newest state of each changed operation, and every ending."""

from __future__ import annotations

import asyncio
import threading

import pytest

from midspan.core import subscription
from midspan.core.operation import Status
from midspan.tracking.tracker import ProgressRegistry


def test_a_slow_reader_gets_the_newest_state_of_each(registry: ProgressRegistry) -> None:
    with registry.subscribe(eager=True) as changes:
        first, second = registry.create_tracker("a"), registry.create_tracker("b")
        for step in range(100):
            first.update(step)
            second.update(step)
        assert [(o.operation_id, o.step) for o in changes.take()] == [("a", 99), ("b", 99)]
        assert changes.take() == []


def test_an_ending_is_never_missed(registry: ProgressRegistry) -> None:
    with registry.subscribe() as changes:
        for number in range(50):
            registry.create_tracker(f"op{number}").complete()
        taken = changes.take()
    assert [operation.status for operation in taken] == [Status.COMPLETED] * 50


def test_for_a_reader_that_does_not_read_only_so_many_wait_and_the_others_are_counted(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MAX_PENDING", 3)
    with registry.subscribe() as changes:
        for number in range(5):
            registry.create_tracker(f"op{number}").complete()
        assert changes.dropped == 2
        assert [operation.operation_id for operation in changes.take()] == ["op2", "op3", "op4"]


def test_quiet_updates_are_told_at_once_to_eager_readers_only(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a")
    tracker.start()
    with registry.subscribe() as calm:
        tracker.update(1)
        assert calm.take() == []
        with registry.subscribe(eager=True) as eager:
            tracker.update(2)
            assert [operation.step for operation in eager.take()] == [2]
    assert not registry.eager


def test_a_reader_may_choose(registry: ProgressRegistry) -> None:
    with registry.subscribe(lambda state: state.operation_type == "batch") as changes:
        registry.create_tracker("a", "batch")
        registry.create_tracker("b", "general")
        assert [operation.operation_id for operation in changes.take()] == ["a"]


def test_waiting_ends_with_a_change_or_at_the_timeout(registry: ProgressRegistry) -> None:
    with registry.subscribe() as changes:
        assert changes.wait(0.001) == []
        writer = threading.Timer(0.01, registry.create_tracker, ["a"])
        writer.start()
        assert [operation.operation_id for operation in changes.wait(30)] == ["a"]
        writer.join()


def test_waiting_async_ends_with_a_change_or_at_the_timeout(registry: ProgressRegistry) -> None:
    async def main() -> tuple[list[str], list[str]]:
        with registry.subscribe() as changes:
            nothing = await changes.wait_async(0.001)
            writer = threading.Timer(0.01, registry.create_tracker, ["a"])
            writer.start()
            something = await changes.wait_async(30)
            writer.join()
            return [o.operation_id for o in nothing], [o.operation_id for o in something]

    assert asyncio.run(main()) == ([], ["a"])


def test_closing_wakes_a_waiting_reader_and_ends_the_iteration(registry: ProgressRegistry) -> None:
    changes = registry.subscribe()
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(operation.operation_id for operation in changes))
    reader.start()
    changes.close()
    reader.join(30)
    assert not reader.is_alive()
    assert seen == []


def test_closing_while_async_iteration_waits_ends_it(registry: ProgressRegistry) -> None:
    async def main() -> list[str]:
        changes = registry.subscribe()
        asyncio.get_running_loop().call_soon(changes.close)
        return [operation.operation_id async for operation in changes]

    assert asyncio.run(main()) == []


def test_what_was_pending_can_still_be_taken_after_closing(registry: ProgressRegistry) -> None:
    changes = registry.subscribe()
    registry.create_tracker("a")
    changes.close()
    registry.create_tracker("b")
    assert [operation.operation_id for operation in changes.take()] == ["a"]


@pytest.mark.parametrize("eager", [True, False])
def test_a_closed_subscription_is_forgotten(registry: ProgressRegistry, eager: bool) -> None:
    with registry.subscribe(eager=eager):
        assert registry.watched
    assert not registry.watched
    assert not registry.eager
