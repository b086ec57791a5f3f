"""No failure of midspan changes what the application sees: every function of ours is made to raise in turn."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import copy_context
from fnmatch import fnmatch
from types import FunctionType
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import midspan_instrumentation as instrumentation
from midspan.core import failures, retention
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
from tests.fakes.sdks import SDKS
from tests.faults import listed
from tests.faults.application import Application
from tests.faults.calls import Calls
from tests.faults.inject import InjectedError, called, functions, raising
from tests.faults.job_calls import JobCalls
from tests.faults.transport_calls import IS_INSTALLED, TransportCalls


class Told(logging.Handler):
    """How often each component was logged as failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.components: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.components[str(record.args[0] if isinstance(record.args, tuple) and record.args else record.msg)] += 1


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    failures.logger.addHandler(handler)
    yield handler
    failures.logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in production: failures of ours are not raised."""
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(failures.logger, "propagate", False)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Exporter(SpanExporter):
    """Where the spans go."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


AnyApplication = Application | Calls | JobCalls | TransportCalls
OURS = (
    "midspan_instrumentation.",
    "midspan.core.known_jobs",
    "midspan.core.call_transitions.connect",
    "midspan.tracking.job_reading",
    "midspan.tracking.provider_jobs",
)


OTHERS: dict[str | None, Callable[[], AnyApplication]] = {None: Application, "jobs": JobCalls}
if IS_INSTALLED:
    OTHERS["transports"] = TransportCalls


Expected = dict[str | None, list[str]]


@pytest.fixture(scope="module")
def seen_before() -> Expected:
    """What the applications see without midspan, by what they use: for each test it is the same."""
    return {}


@pytest.fixture
def used(request: pytest.FixtureRequest) -> str | None:
    """What the application uses: the SDK or the part that the test names, else everything of OpenAI's."""
    return getattr(request, "param", None)


@pytest.fixture
def application(used: str | None) -> Iterator[AnyApplication]:
    """The application, before midspan is there."""
    made = OTHERS[used]() if used in OTHERS else Calls(SDKS[used])
    yield made
    made.close()


@pytest.fixture
def expected(used: str | None, application: AnyApplication, seen_before: Expected) -> list[str]:
    """What it sees without midspan's instrumentation, and with all of midspan sound."""
    if used not in seen_before:
        for _ in range(2):
            seen_before[used] = [action() for action in application.actions()]
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
    subscription = registry.subscribe(eager=True)
    for action in application.actions():
        action()
    # What was made meanwhile (classes, mostly) would be looked at in every collection that a dropped stream forces.
    gc.collect()
    gc.freeze()
    yield registry
    subscription.close()
    instrumentation.undo()
    registry.remove_processor(recorder)
    registry.attach = no_span
    registry.capture = NO_CAPTURE
    provider.shutdown()


def all_functions() -> dict[str, FunctionType]:
    return functions(listed.is_elsewhere)


def reached_by(application: AnyApplication) -> dict[str, list[int]]:
    """The functions that are called, and the numbers of the actions that call each."""
    known = {function.__code__: name for name, function in all_functions().items()}
    reached: dict[str, list[int]] = {}
    for number, action in enumerate(application.actions()):
        # A job that is known already passes other functions than a new one.
        get_progress_registry().clear()
        with called() as codes:
            action()
            # Here, and not in an action to come.
            Pulse(get_progress_registry()).beat()
        for code in codes & known.keys():
            reached.setdefault(known[code], []).append(number)
    return reached


def other_applications() -> list[AnyApplication]:
    """Those beside the one that uses everything; their clients are new."""
    return [*(Calls(sdk) for sdk in SDKS.values()), *(make() for name, make in OTHERS.items() if name)]


@pytest.mark.usefixtures("midspan_on")
def test_every_function_is_reached_or_listed_with_a_reason(application: AnyApplication) -> None:
    for other in other_applications():
        # What is done once is done now, whichever test comes first.
        for action in other.actions():
            action()
        other.close()
    others = other_applications()
    reached = {*reached_by(application)}.union(*(reached_by(other) for other in others))
    for other in others:
        other.close()
    missed = sorted(all_functions().keys() - reached - listed.UNSURE)
    unlisted = [name for name in missed if not any(fnmatch(name, pattern) for pattern in listed.NOT_REACHED)]
    assert unlisted == [], f"reach it, or list it with a reason: {unlisted}"
    stale = [pattern for pattern in listed.NOT_REACHED if not any(fnmatch(name, pattern) for name in missed)]
    assert stale == [], f"reached, or no such function any more: {stale}"
    assert sorted(listed.SEAMS.keys() - reached - listed.UNSURE) == [], "no such seam any more"


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
def test_a_function_that_raises_changes_nothing_for_the_application(
    application: AnyApplication, expected: list[str], midspan_on: ProgressRegistry, told: Told
) -> None:
    """And it is counted, and logged once for each component."""
    assert faults_of(reached_by(application), application, expected, midspan_on, told) == {}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("used", [*sorted({*SDKS} - {"openai"}), *sorted(filter(None, OTHERS))], indirect=True)
def test_a_function_of_the_instrumentation_that_raises_changes_nothing_for_the_calls_of(
    application: AnyApplication, expected: list[str], midspan_on: ProgressRegistry, told: Told
) -> None:
    reached = reached_by(application)
    ours = {name: numbers for name, numbers in reached.items() if name.startswith(OURS)}
    assert ours
    assert faults_of(ours, application, expected, midspan_on, told) == {}


def faults_of(
    reached: dict[str, list[int]],
    application: AnyApplication,
    expected: list[str],
    midspan_on: ProgressRegistry,
    told: Told,
) -> dict[str, object]:
    """What was wrong, for each function that was made to raise."""
    faults: dict[str, object] = {}
    actions, known = application.actions(), all_functions()
    for name, numbers in reached.items():
        if name in listed.SEAMS:
            continue
        midspan_on.clear()
        failures.reset()
        told.components.clear()
        with raising(known[name]):
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
