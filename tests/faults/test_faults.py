"""No failure of midspan changes what the application sees: every function of ours is made to raise in turn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from fnmatch import fnmatch
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import midspan_instrumentation as instrumentation
from midspan.core import failures, retention, subscription
from midspan.core.content import NO_CAPTURE, Capture
from midspan.core.state import State
from midspan.core.subscription import Subscription
from midspan.core.telling import Audience
from midspan.runtime.pulse import Pulse
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking import instrumenting
from midspan.tracking.clock import steady_clock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry, no_span
from tests.faults import listed
from tests.faults.inject import InjectedError, raising
from tests.faults.reach import (
    EVERY,
    INJECTED,
    MAIN,
    AnyApplication,
    Reached,
    Survey,
    Used,
    all_functions,
    application_of,
    keep,
)


class Told(logging.Filter):
    """How often each component was logged as failed; no handler sees it, which would keep every traceback's frames."""

    def __init__(self) -> None:
        super().__init__()
        self.components: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        self.components[str(record.args[0] if isinstance(record.args, tuple) and record.args else record.msg)] += 1
        return False


@pytest.fixture
def told() -> Iterator[Told]:
    counting = Told()
    failures.logger.addFilter(counting)
    yield counting
    failures.logger.removeFilter(counting)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production: failures of ours are not raised."""
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(failures.logger, "propagate", False)


class Exporter(SpanExporter):
    """Where the spans go."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


Expected = dict[Used, list[str]]


@pytest.fixture(scope="module")
def survey() -> Survey:
    return Survey()


@pytest.fixture(scope="module")
def seen_before() -> Expected:
    """What the applications see without midspan, by what they use: for each test it is the same."""
    return {}


@pytest.fixture
def used(request: pytest.FixtureRequest) -> Used:
    """What the application of this test uses."""
    return getattr(request, "param", MAIN)


@pytest.fixture
def application(used: Used) -> Iterator[AnyApplication]:
    """The application, before midspan is there."""
    with application_of(used) as made:
        yield made


@pytest.fixture
def expected(used: Used, seen_before: Expected) -> list[str]:
    """What it sees without midspan's instrumentation, and with all of midspan sound."""
    if used not in seen_before:
        # One of its own: SDKs keep methods that they were asked for, which midspan does not see if it comes later.
        with application_of(used) as another:
            for _ in range(2):
                seen_before[used] = [action() for action in another.actions()]
    return seen_before[used]


@pytest.fixture
def midspan_on(
    application: AnyApplication, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProgressRegistry]:
    """Spans with content, a reader of changes, and the instrumentation; each was done once, so that caches are warm.

    Time stands still: a slow machine reaches nothing that a fast one does not.
    """
    registry = get_progress_registry()
    monkeypatch.setattr(registry, "clock", FakeClock())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Exporter()))
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    registry.capture = Capture(span=True)
    instrumentation.apply()
    monkeypatch.setattr(subscription, "MAX_PENDING", 8)
    reader = registry.subscribe(eager=True)
    for action in application.actions():
        action()
    keep()
    yield registry
    reader.close()
    instrumentation.undo()
    registry.remove_processor(recorder)
    registry.attach = no_span
    registry.capture = NO_CAPTURE
    provider.shutdown()


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("midspan_on")
def test_every_function_is_reached_or_listed_with_a_reason(survey: Survey) -> None:
    reached = {name for used in EVERY for found in survey.of(used) for name in found}
    missed = sorted(all_functions().keys() - reached - listed.UNSURE)
    unlisted = [name for name in missed if not any(fnmatch(name, pattern) for pattern in listed.NOT_REACHED)]
    assert unlisted == [], f"reach it, or list it with a reason: {unlisted}"
    stale = [pattern for pattern in listed.NOT_REACHED if not any(fnmatch(name, pattern) for name in missed)]
    assert stale == [], f"reached, or no such function any more: {stale}"
    assert sorted(listed.SEAMS.keys() - reached - listed.UNSURE) == [], "no such seam any more"


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("midspan_on")
def test_every_function_that_is_reached_is_made_to_raise_somewhere(survey: Survey) -> None:
    reached = {name for used in EVERY for found in survey.of(used) for name in found}
    raised = {name for used in INJECTED for found in survey.injected(used) for name in found}
    assert sorted(reached - raised - listed.UNSURE) == []


@pytest.mark.usefixtures("midspan_on")
def test_the_application_sees_the_same_with_midspan(application: AnyApplication, expected: list[str]) -> None:
    assert [action() for action in application.actions()] == expected
    assert failures.counts() == {}


class BrokenProcessor:
    """A processor that fails whatever it is told."""

    def on_start(self, state: State) -> None:
        raise InjectedError

    on_update = on_end = on_start


class BrokenExporter(SpanProcessor):
    """Another tool's span processor that fails."""

    def on_end(self, span: ReadableSpan) -> None:
        raise InjectedError


def break_clock(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "clock", fail)


def break_processor(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "_audience", Audience.of((BrokenProcessor(), *registry._processors)))


def break_subscriber(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "_subscriptions", (Subscription(steady_clock.now, fail, fail),))


def break_exporter(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BrokenExporter())
    recorder = SpanRecorder(registry, tracer_provider=provider)
    patch.setattr(registry, "_audience", Audience.of((recorder,)))
    patch.setattr(registry, "attach", recorder.attach)


def break_encoder(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retention, "pack", fail)


def break_switches(registry: ProgressRegistry, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(instrumenting, "suppressed", fail)


def fail(*_: object, **__: object) -> Any:
    raise InjectedError


@pytest.mark.parametrize(
    "break_part",
    [break_clock, break_processor, break_subscriber, break_exporter, break_encoder, break_switches],
    ids=lambda part: part.__name__,
)
def test_a_part_that_raises_changes_nothing_for_the_application(
    break_part: Callable[[ProgressRegistry, pytest.MonkeyPatch], None],
    application: AnyApplication,
    expected: list[str],
    midspan_on: ProgressRegistry,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And it is counted, and logged once for each component."""
    break_part(midspan_on, monkeypatch)
    assert [action() for action in application.actions()] == expected
    monkeypatch.undo()
    assert failures.counts()
    assert set(told.components.values()) == {1}


def test_an_exporter_that_raises_changes_nothing_for_the_application(
    application: AnyApplication, expected: list[str], midspan_on: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's own processor has the guard."""
    monkeypatch.setattr(Exporter, "export", fail)
    assert [action() for action in application.actions()] == expected
    assert failures.counts() == {}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("used", INJECTED, indirect=True)
def test_a_function_that_raises_changes_nothing_for_the_calls_of(
    used: Used,
    application: AnyApplication,
    expected: list[str],
    midspan_on: ProgressRegistry,
    told: Told,
    survey: Survey,
) -> None:
    """And it is counted, and logged once for each component."""
    at_first, again = survey.injected(used)
    assert again
    assert faults_of(again, lambda: nullcontext(application), expected, midspan_on, told) == {}
    assert faults_of(at_first, lambda: application_of(used), expected, midspan_on, told) == {}


def faults_of(
    reached: Reached,
    fresh: Callable[[], AbstractContextManager[AnyApplication]],
    expected: list[str],
    midspan_on: ProgressRegistry,
    told: Told,
) -> dict[str, object]:
    """What was wrong, for each function that was made to raise."""
    faults: dict[str, object] = {}
    known = all_functions()
    for name, numbers in reached.items():
        if name in listed.SEAMS:
            continue
        midspan_on.clear()
        failures.reset()
        told.components.clear()
        with fresh() as application, raising(known[name]):
            actions = application.actions()
            # What one of them leaves current, the next one must not find.
            seen = {number: copy_context().run(actions[number]) for number in numbers}
            Pulse(midspan_on).beat()
        found = fault(expected, seen, told, name)
        if found is not None:
            faults[name] = found
    return faults


def fault(expected: list[str], seen: dict[int, str], told: Told, name: str) -> object:
    """What is wrong, or None."""
    changed = [(expected[number], came) for number, came in seen.items() if expected[number] != came]
    if changed:
        return f"{len(changed)} changed: {changed[0][0][:60]} -> {changed[0][1][:160]}"
    if any(count > 1 for count in told.components.values()):
        return f"logged more than once: {dict(told.components)}"
    if name not in listed.UNTOLD and not failures.counts():
        return "neither counted nor logged"
    return None
