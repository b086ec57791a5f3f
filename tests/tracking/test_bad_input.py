"""Whatever an application hands in is bounded, cleaned and counted; nothing is raised, and every surface shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from midspan.core import call_transitions, wire
from midspan.core.operation import Operation
from midspan.telemetry.prometheus import MetricsPage
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

MEGABYTE = "m" * 1_000_000
NASTY = "a\x00b\nc\u202ed\ud800e\U0001f600"
LARGE = 10**400
STRANGE = [math.nan, math.inf, -math.inf, -1, -(10**9), LARGE, -LARGE, 1e308, 5e-324, True]


class Hostile:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Text(str):
    """A string of the application's own type."""

    __slots__ = ()


def shown(tracker: ProgressTracker, registry: ProgressRegistry) -> Operation:
    """The operation as every surface shows it, running and ended."""
    registry.pulse(registry.clock())
    running = tracker.get_progress_details()
    assert json.loads(wire.encode(running))["operation_id"] == tracker.operation_id
    tracker.complete()
    kept = registry.get(tracker.operation_id)
    assert kept is not None
    assert json.loads(wire.encode(kept))["status"] == "completed"
    body, _ = MetricsPage(registry)()
    assert b"midspan_operation_ended_total" in body
    assert running.progress is None or 0.0 <= running.progress <= 1.0
    return running


def shortly(value: object) -> str:
    """A test's id: some of these values cannot be printed."""
    return f"{value}" if isinstance(value, float) else type(value).__name__


WRITES: dict[str, Callable[[ProgressTracker, Any], object]] = {
    "step": lambda tracker, value: tracker.update(value if isinstance(value, int) else 1),
    "total_steps": lambda tracker, value: tracker.update(3, total_steps=value if isinstance(value, int) else 1),
    "progress": lambda tracker, value: tracker.update(progress=value),
    "advance": lambda tracker, value: tracker.advance(value, outcome="failed"),
    "set_total": lambda tracker, value: (tracker.set_total(value), tracker.advance(1)),
    "data": lambda tracker, value: tracker.update(value=value),
}


@pytest.mark.parametrize("value", STRANGE, ids=shortly)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_number_out_of_all_range_raises_nothing_and_is_shown_in_range(
    registry: ProgressRegistry, clock: FakeClock, write: Callable[[ProgressTracker, Any], object], value: Any
) -> None:
    tracker = registry.create_tracker(total=10)
    tracker.start()
    clock.advance(2.0)
    write(tracker, value)
    operation = shown(tracker, registry)
    assert operation.completed is None or 0 <= operation.completed < math.inf
    assert operation.total is None or 0 <= operation.total < math.inf
    assert operation.step is None or 0 <= operation.step < 2**63


OPTIONS = ["total_steps", "total", "expect_children", "weight", "deadline", "stall_after"]


@pytest.mark.parametrize("value", STRANGE, ids=shortly)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_number_out_of_all_range_makes_a_tracker(
    registry: ProgressRegistry, clock: FakeClock, option: str, value: Any
) -> None:
    if option in ("total_steps", "expect_children") and not isinstance(value, int):
        value = LARGE
    tracker = registry.create_tracker("parent", **{option: value})
    with tracker, registry.create_tracker(parent=tracker, **{option: value}) as child:
        clock.advance(2.0)
        child.update(1, progress=0.5)
        child.advance(1)
        assert json.loads(wire.encode(tracker.get_progress_details()))
        operation = child.get_progress_details()
    assert operation.deadline_at is None or math.isfinite(operation.deadline_at)
    assert all(math.isfinite(each.state.weight) and each.state.weight >= 0 for each in (tracker, child))
    for each in (tracker, child):
        assert json.loads(wire.encode(each.get_progress_details()))["status"] == "completed"


@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime.max.replace(tzinfo=UTC)])
def test_a_deadline_at_the_end_of_time_is_shown(registry: ProgressRegistry, moment: datetime) -> None:
    tracker = registry.create_tracker(deadline=moment)
    assert shown(tracker, registry).deadline_at is not None


def test_what_is_clamped_or_dropped_is_counted(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=4)
    writes: list[Callable[[], object]] = [
        lambda: tracker.update(-1),
        lambda: tracker.update(LARGE),
        lambda: tracker.update(progress=math.nan),
        lambda: tracker.update(progress=math.inf),
        lambda: tracker.advance(math.nan),
        lambda: tracker.advance(math.inf),
        lambda: tracker.set_total(math.nan),
    ]
    for write in writes:
        dropped = tracker.state.dropped
        write()
        assert tracker.state.dropped > dropped


@pytest.mark.parametrize("text", [MEGABYTE, NASTY, NASTY * 200_000, Text(NASTY), Text("short"), ""], ids=shortly)
def test_text_is_bounded_and_cleaned_wherever_it_stands(registry: ProgressRegistry, text: str) -> None:
    tracker = registry.create_tracker(
        operation_type=text, name=text, unit=text, provider=text, model=text, metadata={text: text}
    )
    tracker.enter_stage(text, text)
    tracker.set_total(5, text)
    tracker.update(1, text, stage=text, key=text)
    operation = shown(tracker, registry)
    seen = [operation.operation_type, operation.name, operation.unit, operation.provider, operation.model]
    seen += [operation.stage, operation.message, *(operation.metadata or {}), *(operation.metadata or {}).values()]
    for each in seen:
        assert len(each or "") <= 512
        assert not set(each or "") & set("\x00\n\u202e\ud800")


def test_ten_thousand_keys_are_32_in_the_metadata_and_in_the_history(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    tracker.update(**{f"key{number}\n": MEGABYTE[:1000] for number in range(10_000)})
    operation = shown(tracker, registry)
    assert len(operation.metadata or {}) == 32
    data = operation.history[-1].data or {}
    assert len(data) == 32
    assert set(data) == set(operation.metadata or {})
    assert tracker.state.dropped >= 10_000 - 32


def test_keys_that_are_no_text_become_text(registry: ProgressRegistry) -> None:
    metadata: dict[Any, object] = {1: "one", None: "none", ("a", 2): 3}
    tracker = registry.create_tracker(metadata=metadata)
    assert shown(tracker, registry).metadata == {"1": "one", "None": "none", "('a', 2)": 3}


@pytest.mark.parametrize(
    "value", [Hostile(), LARGE, -LARGE, 10**10_000, math.nan, b"\xff" * 1000, {"a": Hostile()}], ids=shortly
)
def test_a_value_that_cannot_be_shown_is_shown_all_the_same(registry: ProgressRegistry, value: object) -> None:
    tracker = registry.create_tracker(metadata={"given": value})
    tracker.update(1, later=value)
    metadata = shown(tracker, registry).metadata or {}
    assert {type(metadata[key]) for key in ("given", "later")} == {str}
    assert len(metadata["given"]) <= 256


def looped() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "result",
    [Hostile(), [Hostile()], LARGE, 10**10_000, {"n": 2**70}, math.nan, NASTY, looped(), {1: {2, 3}}],
    ids=shortly,
)
def test_any_result_ends_the_operation(registry: ProgressRegistry, result: object) -> None:
    tracker = registry.create_tracker()
    tracker.complete(result=result)
    kept = registry.get(tracker.operation_id)
    assert kept is not None
    assert json.loads(wire.encode(kept))["result"] != {}


class HostileError(Exception):
    """An error that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "error", [HostileError(), ValueError(MEGABYTE), ValueError(NASTY), ValueError("\n" * 1000), NASTY]
)
def test_any_error_ends_the_operation(registry: ProgressRegistry, error: BaseException | str) -> None:
    tracker = registry.create_tracker()
    tracker.fail(error)
    kept = registry.get(tracker.operation_id)
    assert kept is not None
    assert json.loads(wire.encode(kept))["error"]["type"]
    assert kept.error is not None
    assert len(kept.error.message or "") <= 512


@pytest.mark.parametrize("tokens", [-1, LARGE, 2**63, math.nan, "12", True, 3.5], ids=shortly)
def test_token_counts_that_no_server_should_tell_are_dropped_and_counted(
    registry: ProgressRegistry, tokens: Any
) -> None:
    tracker = registry.create_tracker()
    tracker.apply(lambda state, _: call_transitions.record_usage(state, tokens, tokens, tokens, tokens))
    assert shown(tracker, registry).tokens is None
    assert tracker.state.dropped > 0


def test_a_stall_limit_that_is_no_number_raises_where_the_mistake_is(registry: ProgressRegistry) -> None:
    with pytest.raises(TypeError, match="stall_after"):
        registry.create_tracker(stall_after="soon")
