"""Which changes become span events: every stage, progress now and then, and always the end."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from opentelemetry.sdk.trace import Event, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry

SDK_KEEPS = 128


def events_of(exporter: InMemorySpanExporter) -> list[Event]:
    (span,) = exporter.get_finished_spans()
    return list(span.events)


def stages_of(events: list[Event]) -> list[object]:
    return [(event.attributes or {}).get("midspan.stage") for event in events]


@pytest.mark.usefixtures("recorder")
def test_events_carry_how_far_the_operation_is_and_its_own_times(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    begun = clock.now
    tracker = registry.create_tracker(total_steps=4)
    tracker.start()
    clock.advance(2.0)
    tracker.update(step=1, message="one of four")
    registry.pulse(clock.now)
    clock.advance(1.0)
    tracker.enter_stage("sorting")
    clock.advance(1.0)
    tracker.fail(KeyError("gone"))
    start, update, stage, end = events_of(exporter)
    assert [event.name.removeprefix("midspan.operation.") for event in (start, update, stage, end)] == [
        "start",
        "update",
        "update",
        "end",
    ]
    assert [event.timestamp for event in (start, update, stage, end)] == [
        int((begun + seconds) * 1e9) for seconds in (0.0, 2.0, 3.0, 4.0)
    ]
    assert dict(update.attributes or {}) == {
        "midspan.sequence": 2,
        "midspan.progress": 0.25,
        "midspan.step.index": 1,
        "midspan.step.count": 4,
        "midspan.message": "one of four",
        "midspan.estimate.remaining_time": 6.0,
    }
    assert (stage.attributes or {})["midspan.stage"] == "sorting"
    assert (
        dict(end.attributes or {}).items()
        >= {
            "midspan.operation.status": "failed",
            "error.type": "KeyError",
            "midspan.step.index": 1,
        }.items()
    )


def test_an_event_is_written_while_another_thread_holds_the_operations_lock(
    registry: ProgressRegistry, clock: FakeClock, recorder: SpanRecorder
) -> None:
    """A signal handler in that thread may wait for this one: both would wait for ever."""
    tracker = registry.create_tracker()
    tracker.start()
    clock.advance(2.0)
    tracker.update(progress=0.5)
    thread = threading.Thread(target=recorder.on_update, args=(tracker.state,), daemon=True)
    with tracker.state.lock:
        thread.start()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.usefixtures("recorder")
def test_progress_makes_at_most_one_event_a_second(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    for number in range(80):
        tracker.update(progress=number / 100)
        registry.pulse(clock.advance(0.125))
    tracker.complete()
    times = [event.timestamp / 1e9 for event in events_of(exporter) if event.name.endswith("update")]
    assert len(times) == 10
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1.0


@pytest.mark.usefixtures("recorder")
def test_every_stage_change_is_an_event_even_within_one_second(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    names = [f"stage-{number}" for number in range(30)]
    for name in names:
        tracker.enter_stage(name)
    clock.advance(1.0)
    tracker.complete()
    assert stages_of(events_of(exporter))[1:-1] == names


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("seconds", [0.01, 1.0, 60.0])
def test_of_ten_thousand_updates_the_start_every_stage_and_the_end_are_kept(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter, seconds: float
) -> None:
    tracker = registry.create_tracker()
    names = [f"stage-{number}" for number in range(20)]
    for number in range(10_000):
        if number % 500 == 0:
            tracker.enter_stage(names[number // 500])
        tracker.update(progress=number / 10_000)
        registry.pulse(clock.advance(seconds))
    tracker.complete()
    events = events_of(exporter)
    assert (events[0].name, events[-1].name) == ("midspan.operation.start", "midspan.operation.end")
    assert list(dict.fromkeys(stages_of(events)[1:-1])) == names
    assert 40 <= len(events) < SDK_KEEPS


@pytest.mark.usefixtures("recorder")
def test_the_events_of_a_long_operation_reach_into_its_last_tenth(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    for number in range(3_600):
        tracker.update(progress=number / 3_600)
        registry.pulse(clock.advance(1.0))
    tracker.complete()
    last_update = events_of(exporter)[-2]
    assert last_update.timestamp / 1e9 > clock.now - 360


@pytest.mark.usefixtures("recorder")
def test_an_operation_of_endless_stages_still_keeps_its_start_and_its_end(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    for number in range(1_000):
        tracker.enter_stage(f"stage-{number}")
        clock.advance(0.01)
    tracker.complete()
    events = events_of(exporter)
    assert len(events) < SDK_KEEPS
    assert (events[0].name, events[-1].name) == ("midspan.operation.start", "midspan.operation.end")


@pytest.mark.usefixtures("recorder")
def test_events_are_numbered_in_their_order(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    for number in range(20):
        tracker.update(step=number)
        registry.pulse(clock.advance(1.0))
    tracker.complete()
    numbers = [(event.attributes or {})["midspan.sequence"] for event in events_of(exporter)]
    assert numbers == sorted(set(numbers))


def test_without_events_the_span_has_its_attributes_alone(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    registry.add_processor(SpanRecorder(registry, tracer_provider=provider, events=False))
    tracker = registry.create_tracker()
    tracker.enter_stage("sorting")
    tracker.complete()
    (span,) = exporter.get_finished_spans()
    assert span.events == ()
    assert (span.attributes or {})["midspan.operation.status"] == "completed"


@pytest.mark.usefixtures("recorder")
def test_an_operation_that_is_over_within_a_second_has_no_events(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker()
    tracker.enter_stage("sorting")
    clock.advance(0.9)
    tracker.complete()
    assert events_of(exporter) == []


@pytest.mark.usefixtures("recorder")
def test_a_failure_has_its_events_however_short_with_their_true_times(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    begun = clock.now
    tracker = registry.create_tracker()
    clock.advance(0.25)
    tracker.enter_stage("sorting")
    clock.advance(0.25)
    tracker.fail("gone")
    events = events_of(exporter)
    assert [event.timestamp for event in events] == [int((begun + seconds) * 1e9) for seconds in (0.0, 0.25, 0.5)]
    assert stages_of(events) == [None, "sorting", None]


@pytest.mark.usefixtures("recorder")
def test_a_stall_and_its_end_are_events(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    begun = clock.now
    tracker = registry.create_tracker(stall_after=10)
    tracker.enter_stage("sorting")
    for _ in range(20):
        registry.pulse(clock.advance(1.0))
    tracker.update(message="on again")
    registry.pulse(clock.advance(1.0))
    tracker.complete()
    events = events_of(exporter)
    assert [(event.name.removeprefix("midspan.operation."), event.timestamp / 1e9 - begun) for event in events] == [
        ("start", 0.0),
        ("update", 0.0),
        ("stall", 11.0),
        ("resume", 21.0),
        ("end", 21.0),
    ]
    assert [(event.attributes or {}).get("midspan.stalled") for event in events] == [None, None, True, None, None]


@pytest.mark.usefixtures("recorder")
def test_an_operation_that_stalls_endlessly_keeps_its_start_and_its_end(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker(stall_after=10)
    for number in range(300):
        tracker.update(number)
        registry.pulse(clock.advance(5.0))
        registry.pulse(clock.advance(6.0))
    tracker.complete()
    events = events_of(exporter)
    assert len(events) < SDK_KEEPS
    assert (events[0].name, events[-1].name) == ("midspan.operation.start", "midspan.operation.end")


@pytest.mark.usefixtures("recorder")
def test_stages_leave_room_for_a_stall(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker(stall_after=10)
    for number in range(200):
        tracker.enter_stage(f"stage-{number}")
        registry.pulse(clock.advance(1.0))
    registry.pulse(clock.advance(11.0))
    tracker.complete()
    assert [event.name for event in events_of(exporter)][-2] == "midspan.operation.stall"


@pytest.mark.usefixtures("recorder")
def test_events_say_whether_a_deadline_is_over_or_out_of_reach(
    registry: ProgressRegistry, clock: FakeClock, exporter: InMemorySpanExporter
) -> None:
    tracker = registry.create_tracker(total_steps=4, deadline=10)
    tracker.start()
    for step, seconds in enumerate((2.0, 6.0, 6.0), start=1):
        clock.advance(seconds)
        tracker.update(step)
        registry.pulse(clock.now)
    tracker.complete()
    told = [
        (attributes.get("midspan.past_deadline"), attributes.get("midspan.will_miss_deadline"))
        for attributes in (event.attributes or {} for event in events_of(exporter))
    ]
    assert told == [(None, None), (False, False), (False, True), (True, True), (True, None)]
