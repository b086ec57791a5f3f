"""Which ways events go is a matter of settings, and may change while the process runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan import settings
from midspan.core.content import NO_CAPTURE, Capture
from midspan.runtime.recording import Recording, wanted_content
from midspan.settings import Settings
from midspan.telemetry import events, log_lines
from midspan.telemetry.event_queue import OutgoingEvent
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


class Outlet:
    """Stands for log records or log lines, and keeps what it is given."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self) -> Outlet:
        return self

    def wanted(self) -> bool:
        return True

    def write(self, events: list[OutgoingEvent]) -> None:
        self.names += [event.name.removeprefix("midspan.operation.") for event in events]


class Ways:
    """The three ways of one recording."""

    def __init__(self, registry: ProgressRegistry, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records, self.lines, self.exporter = Outlet(), Outlet(), InMemorySpanExporter()
        monkeypatch.setattr(events, "LogRecords", self.records)
        monkeypatch.setattr(log_lines, "LogLines", self.lines)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.recording = Recording(registry)
        self.registry, self.clock = registry, clock

    def start(self, **environ: str) -> None:
        self.recording.start(
            settings.load({f"MIDSPAN_{name}": value for name, value in environ.items()}), self.provider
        )

    def told(self) -> tuple[bool, bool, bool]:
        """Whether one operation is told of on its span, as log records and as log lines."""
        for outlet in (self.records, self.lines):
            outlet.names.clear()
        tracker = self.registry.create_tracker()
        self.clock.advance(2.0)
        tracker.complete()
        self.recording.flush()
        span = self.exporter.get_finished_spans()[-1]
        return bool(span.events), bool(self.records.names), bool(self.lines.names)


@pytest.fixture
def ways(registry: ProgressRegistry, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    made = Ways(registry, clock, monkeypatch)
    yield made
    made.recording.stop()
    made.provider.shutdown()


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, (True, True, False)),
        ({"EVENTS": "span"}, (True, False, False)),
        ({"EVENTS": "log"}, (False, True, False)),
        ({"EVENTS": "span,log"}, (True, True, False)),
        ({"EVENTS": "none"}, (False, False, False)),
        ({"EVENTS": "none", "LOG": "json"}, (False, False, True)),
        ({"EVENTS": "log", "LOG": "json"}, (False, True, True)),
    ],
)
def test_settings_choose_the_ways(ways: Ways, environ: dict[str, str], wanted: tuple[bool, bool, bool]) -> None:
    ways.start(**environ)
    assert ways.told() == wanted


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, NO_CAPTURE),
        ({"MIDSPAN_CAPTURE_CONTENT": "true"}, Capture(preview=True)),
        ({settings.MESSAGE_CONTENT: "SPAN_ONLY"}, Capture(span=True)),
        ({settings.MESSAGE_CONTENT: "SPAN_AND_EVENT", "MIDSPAN_CAPTURE_CONTENT": "1"}, Capture(True, True, True)),
    ],
)
def test_settings_say_where_content_goes(environ: dict[str, str], wanted: Capture) -> None:
    assert wanted_content(settings.load(environ)) == wanted


def test_the_same_object_says_that_nobody_wants_content() -> None:
    assert wanted_content(settings.load({})) is NO_CAPTURE


def test_a_second_start_changes_the_ways_and_keeps_the_provider(ways: Ways) -> None:
    ways.start(EVENTS="none")
    assert ways.told() == (False, False, False)
    ways.recording.start(settings.load({"MIDSPAN_EVENTS": "span"}), None)
    assert ways.told() == (True, False, False)


def test_a_second_start_with_the_same_settings_records_nothing_twice(ways: Ways) -> None:
    for _ in range(3):
        ways.start()
    ways.told()
    assert ways.records.names == ["start", "end"]
    assert len(ways.exporter.get_finished_spans()) == 1


def test_what_waits_goes_out_when_recording_stops(ways: Ways) -> None:
    ways.start(EVENTS="log")
    ways.registry.create_tracker().fail("gone")
    ways.recording.stop()
    assert ways.records.names == ["end"]
    ways.registry.create_tracker().fail("gone")
    ways.recording.flush()
    assert ways.records.names == ["end"]


def test_a_forked_child_does_not_tell_what_its_parent_will(ways: Ways) -> None:
    ways.start(EVENTS="log")
    ways.registry.create_tracker().fail("gone")
    ways.recording.forked()
    ways.recording.flush()
    assert ways.records.names == []


def test_without_recording_nothing_waits(registry: ProgressRegistry) -> None:
    recording = Recording(registry)
    recording.flush()
    recording.forked()
    recording.start(Settings(events=frozenset()), None)
    with registry.create_tracker() as tracker:
        assert tracker.state.span is not None
    recording.stop()
