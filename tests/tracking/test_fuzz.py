"""Any sequence of calls with any values: bounded, cleaned and counted, and never raised; wrong types are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midspan.core.operation import Operation, Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker
from tests.showable import check, is_clean, page_names

ENOUGH = settings(max_examples=80, deadline=None, derandomize=True, database=None)

numbers = st.one_of(st.floats(), st.integers(), st.sampled_from([10**400, -(10**400), 2**63, 1e308, 5e-324, -0.0]))
whole = st.one_of(st.integers(), st.sampled_from([10**400, -(10**400), 2**53, -1, 0]))
texts = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=9), st.integers(1, 2_000)),
    st.sampled_from(["\n", "a\x00b", "\u202eabc", "\ud800", "x\r\nmidspan_forged_total 1", '"}\\', "m" * 100_000]),
)
plain = st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=300))
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
metadata = st.dictionaries(texts, values, max_size=40)

Call = Callable[[ProgressTracker], object]


def call(method: str, *args: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    """A call of a tracker's method with any such arguments."""

    def made(drawn: tuple[list[Any], dict[str, Any]]) -> Call:
        return lambda tracker: getattr(tracker, method)(*drawn[0], **drawn[1])

    return st.tuples(st.tuples(*args).map(list), st.fixed_dictionaries({}, optional=more)).map(made)


outcomes = st.sampled_from([None, "succeeded", "failed", "cancelled"])
changes = st.one_of(
    call("update", whole, texts, progress=numbers, stage=texts, total_steps=whole, data=values),
    call("update", metadata_key=values),
    call("advance", numbers, outcome=outcomes),
    call("enter_stage", texts, message=texts),
    call("set_total", numbers | st.none(), unit=texts),
    call("start"),
    call("request_cancel"),
)
ends = st.one_of(call("complete", texts, result=values), call("fail", texts), call("cancel", texts))
moments = st.one_of(numbers, st.datetimes(timezones=st.none() | st.just(UTC)), st.sampled_from([datetime.min]))
options = st.fixed_dictionaries(
    {},
    optional={
        "total_steps": whole,
        "name": texts,
        "total": numbers,
        "unit": texts,
        "metadata": metadata,
        "expect_children": whole,
        "weight": numbers,
        "deadline": moments,
        "stall_after": numbers,
        "allow_regress": st.booleans(),
        "provider": texts,
        "model": texts,
    },
)


def shown(registry: ProgressRegistry, tracker: ProgressTracker) -> Operation:
    """The operation, as it is, and that the page of metrics can be read."""
    operation = tracker.get_progress_details()
    check(operation)
    assert not [name for name in page_names(registry) if "forged" in name]
    return operation


@ENOUGH
@given(options=options, kind=texts, calls=st.lists(changes, max_size=12), end=ends, seconds=st.floats(0, 1e9))
def test_whatever_is_handed_in_the_operation_can_be_shown_and_ends(
    options: dict[str, Any], kind: str, calls: list[Call], end: Call, seconds: float
) -> None:
    clock = FakeClock()
    registry = ProgressRegistry(clock=clock)
    tracker = registry.create_tracker(None, kind, **options)
    for number, change in enumerate(calls):
        change(tracker)
        clock.advance(seconds / len(calls))
        if number % 4 == 0:
            registry.pulse(clock.now)
    assert not shown(registry, tracker).is_terminal
    end(tracker)
    ended = shown(registry, tracker)
    assert ended.is_terminal
    kept = registry.get(tracker.operation_id)
    assert kept is not None
    check(kept)
    assert (kept.status, kept.progress) == (ended.status, ended.progress)
    assert len(kept.history) <= 8


@ENOUGH
@given(calls=st.lists(changes, max_size=12), late=st.lists(changes | ends, min_size=1, max_size=6))
def test_nothing_changes_what_has_ended(calls: list[Call], late: list[Call]) -> None:
    registry = ProgressRegistry(clock=FakeClock())
    tracker = registry.create_tracker()
    for change in calls:
        change(tracker)
    tracker.complete("done")
    before = registry.get(tracker.operation_id)
    for change in late:
        change(tracker)
    assert registry.get(tracker.operation_id) == before
    assert before is not None
    assert before.status is Status.COMPLETED


@ENOUGH
@given(fractions=st.lists(numbers, min_size=1, max_size=20))
def test_progress_never_falls_whatever_is_reported(fractions: list[float]) -> None:
    tracker = ProgressRegistry(clock=FakeClock()).create_tracker()
    shown: list[float] = []
    for fraction in fractions:
        tracker.update(progress=fraction)
        shown.append(tracker.get_progress_details().progress or 0.0)
    assert shown == sorted(shown)
    wrong = sum(not 0 <= fraction <= 1 for fraction in fractions)
    assert tracker.state.dropped >= wrong


NUMBERS = st.one_of(texts, st.binary(max_size=9), st.lists(numbers, max_size=2), st.none())
NO_TEXT = st.one_of(numbers, st.binary(max_size=9), st.lists(texts, max_size=2))


@ENOUGH
@given(number=NUMBERS.filter(lambda value: value is not None), text=NO_TEXT)
def test_a_wrong_type_raises_and_leaves_the_operation_as_it_was(number: object, text: object) -> None:
    tracker = ProgressRegistry(clock=FakeClock()).create_tracker()
    wrong: list[Callable[[Any], object]] = [
        lambda value: tracker.update(value),
        lambda value: tracker.update(progress=value),
        lambda value: tracker.advance(value),
        lambda value: tracker.set_total(value),
        lambda value: tracker.update(total_steps=value),
    ]
    before = tracker.get_progress_details()
    for write in wrong:
        with pytest.raises(TypeError):
            write(number)
    for write in (lambda: tracker.update(message=cast("str", text)), lambda: tracker.enter_stage(cast("str", text))):
        with pytest.raises(TypeError):
            write()
    assert tracker.get_progress_details() == before


@ENOUGH
@given(operation_id=texts | numbers)
def test_an_id_is_taken_as_it_is_or_refused(operation_id: Any) -> None:
    registry = ProgressRegistry(clock=FakeClock())
    try:
        tracker = registry.create_tracker(operation_id)
    except (TypeError, ValueError):
        assert registry.operations() == []
    else:
        assert tracker.operation_id == operation_id
        assert is_clean(operation_id, 128)
        assert registry.get(operation_id) is not None
