"""What is kept of ended operations, and for how long."""

from __future__ import annotations

from midspan.core.operation import Status
from midspan.core.retention import Limits, Retention


def ended(name: str, **fields: object) -> dict[str, object]:
    whole = dict.fromkeys(("created_at", "updated_at", "progressed_at"), 1.0) | {"operation_id": name, "name": name}
    return {**whole, "operation_type": "general", "status": Status.COMPLETED, **fields}


def kept(retention: Retention) -> list[str]:
    return [operation.operation_id for operation in retention.all()]


def test_the_oldest_go_first_when_there_are_too_many() -> None:
    retention = Retention(Limits(operations=2))
    for name in ("a", "b", "c"):
        retention.add(ended(name), 1.0)
    assert kept(retention) == ["b", "c"]
    assert retention.evicted == 1


def test_the_size_is_bounded_too() -> None:
    retention = Retention(Limits(bytes=3000))
    for number in range(10):
        retention.add(ended(f"op{number}", message="x" * 1200), 1.0)
    assert kept(retention) == ["op8", "op9"]
    assert retention.size <= 3000


def test_the_age_is_bounded() -> None:
    retention = Retention(Limits(seconds=10))
    retention.add(ended("a"), 0.0)
    retention.add(ended("b"), 5.0)
    assert retention.expire(10.0) == 0
    assert retention.expire(10.5) == 1
    assert kept(retention) == ["b"]


def test_the_same_id_is_kept_once() -> None:
    retention = Retention(Limits())
    retention.add(ended("a", message="first"), 1.0)
    retention.add(ended("a", message="second"), 2.0)
    assert [operation.message for operation in retention.all()] == ["second"]


def test_the_size_is_that_of_what_is_kept() -> None:
    retention = Retention(Limits())
    for name in ("a", "b"):
        retention.add(ended(name), 1.0)
    before = retention.size
    assert retention.remove("a")
    assert not retention.remove("a")
    assert retention.size == before // 2
    assert retention.remove_all(["b", "unknown"]) == 1
    assert (retention.size, len(retention)) == (0, 0)


def test_a_typical_ended_operation_is_small() -> None:
    retention = Retention(Limits())
    retention.add(ended("0123456789abcdef" * 2, message="All steps completed", model="gpt-4", progress=1.0), 1.0)
    assert retention.size < 512
