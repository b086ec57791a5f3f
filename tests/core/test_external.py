"""Operations that are reported from outside, and the silence of their reporters."""

from __future__ import annotations

import pytest

from midspan.core import external
from midspan.core.external import SILENT_AFTER, External
from midspan.core.operation import Owner
from midspan.core.state import State
from midspan.tracking.tracker import ProgressRegistry


def test_an_operation_that_nobody_reports_any_more_is_lost(registry: ProgressRegistry, clock) -> None:
    tracker = registry.create_tracker("far")
    registry.external.add(tracker.state)
    tracker.update(message="here")
    registry.pulse(clock.advance(SILENT_AFTER))
    assert tracker.status == "running"
    registry.pulse(clock.advance(1))
    ended = registry.get("far")
    assert (ended.status, ended.status_reason) == ("lost", "nothing was reported for long")


def test_each_report_starts_the_silence_anew(registry: ProgressRegistry, clock) -> None:
    tracker = registry.create_tracker("far")
    registry.external.add(tracker.state)
    for _ in range(5):
        registry.pulse(clock.advance(SILENT_AFTER - 1))
        tracker.update(message="here")
    assert tracker.status == "running"


def test_an_operation_that_may_stall_late_is_waited_for_longer(registry: ProgressRegistry, clock) -> None:
    tracker = registry.create_tracker("far", stall_after=3600)
    registry.external.add(tracker.state)
    tracker.start()
    registry.pulse(clock.advance(36_000))
    assert tracker.status == "running"
    registry.pulse(clock.advance(1))
    assert tracker.status == "lost"


def test_an_operation_of_this_process_is_not_lost_by_silence(registry: ProgressRegistry, clock) -> None:
    tracker = registry.create_tracker("near")
    tracker.start()
    registry.pulse(clock.advance(SILENT_AFTER * 20))
    assert tracker.status == "running"


def test_what_has_ended_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "MAX_EXTERNAL", 2)
    known = External()
    states = [State(name, "general", name, 1.0) for name in ("a", "b")]
    for state in states:
        known.add(state)
    assert known.is_full
    states[0].ended_at = 2.0
    assert not known.is_full


def test_clearing_the_registry_forgets_them(registry: ProgressRegistry, clock) -> None:
    state = registry.create_tracker("far").state
    registry.external.add(state)
    assert registry.external.silent(clock.now + 1e6) == [state]
    registry.clear()
    assert registry.external.silent(clock.now + 1e6) == []


@pytest.mark.parametrize("principal", [None, "ann"])
def test_this_process_does_not_own_it(registry: ProgressRegistry, principal: str | None) -> None:
    registry.owner = Owner(service="shop", pid=7)
    tracker = registry.create_tracker("far")
    tracker.state.principal = principal
    registry.external.add(tracker.state)
    tracker.complete()
    ended = registry.get("far")
    assert ended is not None
    assert ended.owner == (None if principal is None else Owner(principal="ann"))
