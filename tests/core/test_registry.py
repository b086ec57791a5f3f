"""The registry: who is told, what is found, and what happens to what is dropped."""

from __future__ import annotations

import pytest

from midspan.core import failures
from midspan.core.operation import Status
from midspan.core.retention import Limits
from midspan.core.state import Counts, State
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


class Recorder:
    """A processor that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def on_start(self, state: State) -> None:
        self.calls.append(("start", state.operation_id))

    def on_update(self, state: State) -> None:
        self.calls.append(("update", state.operation_id))

    def on_end(self, state: State) -> None:
        self.calls.append(("end", state.operation_id))


def test_a_processor_is_told_of_start_stages_and_the_end_once(registry: ProgressRegistry) -> None:
    recorder = Recorder()
    registry.add_processor(recorder)
    tracker = registry.create_tracker("a")
    tracker.start()
    tracker.update(message="quiet")
    tracker.enter_stage("x")
    tracker.complete()
    tracker.fail("again")
    assert [kind for kind, _ in recorder.calls] == ["start", "update", "update", "end"]
    registry.remove_processor(recorder)
    registry.create_tracker("b")
    assert len(recorder.calls) == 4


def test_the_pulse_publishes_quiet_changes_once(registry: ProgressRegistry, clock: FakeClock) -> None:
    recorder = Recorder()
    tracker = registry.create_tracker("a")
    tracker.update(1)
    registry.add_processor(recorder)
    tracker.update(2)
    assert recorder.calls == []
    registry.pulse(clock.advance(1))
    registry.pulse(clock.advance(1))
    assert recorder.calls == [("update", "a")]


def test_the_pulse_takes_over_what_streams_have_counted(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("a")
    counts = tracker.state.counts = Counts()
    tracker.start()
    counts.singles = 3
    with registry.subscribe() as changes:
        registry.pulse(clock.advance(1))
        (operation,) = changes.take()
    assert (operation.chunks, operation.progressed_at) == (3, clock.now)


def test_a_failing_processor_is_counted_and_disturbs_nobody(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)

    class Failing(Recorder):
        def on_end(self, state: State) -> None:
            raise RuntimeError("exporter broken")

    recorder = Recorder()
    registry.add_processor(Failing())
    registry.add_processor(recorder)
    registry.create_tracker("a").complete()
    assert ("end", "a") in recorder.calls
    assert failures.counts() == {"processor": 1}
    assert registry.get("a").status is Status.COMPLETED  # type: ignore[union-attr]


def test_an_operation_is_found_by_its_span_while_it_runs(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("a")
    registry.bind_span(tracker.state, "0" * 31 + "1", "0" * 15 + "2")
    found = registry.by_span("0" * 15 + "2")
    assert found is not None
    assert found.operation_id == "a"
    tracker.complete()
    assert registry.by_span("0" * 15 + "2") is None
    assert registry.get("a").trace_id == "0" * 31 + "1"  # type: ignore[union-attr]


def test_children_are_found_by_parent_and_know_their_root(registry: ProgressRegistry) -> None:
    registry.create_tracker("root")
    registry.create_tracker("child", parent="root")
    registry.create_tracker("grandchild", parent="child").complete()
    assert [o.operation_id for o in registry.operations(parent_id="root")] == ["child"]
    assert registry.get("grandchild").root_id == "root"  # type: ignore[union-attr]


def test_too_many_running_operations_give_up_the_oldest_as_lost(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry = ProgressRegistry(clock=clock, limits=Limits(running=2))
    for name in ("a", "b", "c"):
        registry.create_tracker(name)
    lost = registry.get("a")
    assert lost is not None
    assert (lost.status, len(registry.running())) == (Status.LOST, 2)
    assert "too many running operations" in caplog.text


def test_a_cleared_registry_knows_nothing(registry: ProgressRegistry) -> None:
    registry.create_tracker("a").complete()
    registry.create_tracker("b")
    registry.clear()
    assert registry.operations() == []
    assert registry.statistics.series() == []
