"""docs/telemetry.md and the tables of README.md are what the code says, and what the code does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core import names
from midspan.core.content import Capture, Content, Piece, Prompt
from midspan.core.operation import ErrorInfo, Status
from midspan.grafana.options import Options
from midspan.grafana.rules import alerts
from midspan.telemetry import messages, span_attributes
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import CallTracker, Counts, attached
from midspan.tracking.tracker import ProgressRegistry

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_telemetry", DOCS / "make_telemetry.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_the_generated_one(maker: ModuleType) -> None:
    assert (DOCS / "telemetry.md").read_text(encoding="utf-8") == maker.page(), "run: make telemetry"


def test_the_tables_of_the_readme_are_the_generated_ones(maker: ModuleType) -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert maker.readme(text) == text, "run: make telemetry"
    assert "`midspan.operation.active`" in text and "`midspan.operation.stall`" in text


def test_the_readme_has_every_alert_of_the_rules_with_its_runbook(maker: ModuleType) -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"^\| \[(\w+)\]\((grafana/runbooks/\w+\.md)\) \| (\w+) ", text, re.MULTILINE)
    assert [(name, severity) for name, _, severity in linked] == [(a.name, a.severity) for a in alerts(Options())]
    assert all((DOCS.parent / page).stem == name and (DOCS.parent / page).is_file() for name, page, _ in linked)


@pytest.mark.parametrize("name", ["telemetry", "alerts"])
def test_a_readme_without_its_marks_is_refused(maker: ModuleType, name: str) -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=f"{name}:end"):
        maker.readme(text.replace(f"<!-- {name}:end -->", ""))


def test_every_name_of_the_code_has_a_meaning_on_the_page_and_no_other(maker: ModuleType) -> None:
    given = {name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    events = {value for name, value in given.items() if name.startswith("EVENT_")}
    assert set(maker.EVENTS) == events
    assert set(maker.ATTRIBUTES) | set(maker.CONTENT) | maker.READ_ONLY == set(given.values()) - events - {
        names.SCOPE,
        names.GEN_AI_DETAILS,
    }


def documented(maker: ModuleType, where: str) -> dict[str, str]:
    """Attribute → type, of those that the page has on spans, events or log records."""
    return {name: kind for name, (kind, on, _) in maker.ATTRIBUTES.items() if where in on.split(", ")}


def types(*attributes: Mapping[str, object] | None) -> dict[str, str]:
    """Attribute → type, of attributes as OpenTelemetry has got them."""
    return {key: type_of(value) for each in attributes for key, value in (each or {}).items()}


def type_of(value: object) -> str:
    kinds = {bool: "boolean", str: "string", int: "int", float: "double"}
    return next(name for kind, name in kinds.items() if isinstance(value, kind))


def test_spans_and_events_have_the_attributes_of_the_page_and_no_other(
    maker: ModuleType, registry: ProgressRegistry, clock: FakeClock
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    a_call(registry, clock)
    a_job(registry, clock)
    spans = exporter.get_finished_spans()
    found = types(*(span.attributes for span in spans))
    of_calls = set(maker._of_calls())
    assert {key: kind for key, kind in found.items() if key not in of_calls} == documented(maker, "span")
    events = [event for span in spans for event in span.events]
    assert types(*(event.attributes for event in events)) == documented(maker, "event")
    assert {event.name for event in events} == set(maker.EVENTS)


def test_content_that_was_asked_for_has_the_attributes_of_the_page(
    maker: ModuleType, registry: ProgressRegistry
) -> None:
    state = registry.create_tracker().state
    said = [{"type": "text", "content": "x"}]
    state.content = Content(Capture(span=True), Prompt([{"role": "user", "parts": said}], said, [{"name": "look"}]))
    state.content.add(Piece("y"))
    assert set(span_attributes.final(state, own=True)) >= set(maker.CONTENT)
    assert set(messages.on_span(state, state.content)) == set(maker.CONTENT)


def test_log_records_name_their_operation_as_the_page_says(maker: ModuleType, registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(name="job", provider="openai", model="gpt-x")
    assert types(span_attributes.common(tracker.state)) == documented(maker, "log")


def a_call(registry: ProgressRegistry, clock: FakeClock) -> None:
    """A streamed call of which everything is known, and that fails in the end."""
    call = CallTracker(
        None, "llm_request", name="chat", provider="openai", model="m", span_deferred=True, registry=registry
    )
    call.state.counts = call.counts = Counts()
    call.state.attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 100,
        "server.port": 443,
    }
    call.set_attributes({"server.address": "api.example.com", "gen_ai.response.model": "m-1"})
    call.enter_stage("sending_request")
    with attached(call):
        clock.advance(1.5)
    call.first_chunk()
    call.counts.singles = 2
    clock.advance(2.0)
    registry.pulse(clock.now)
    call.record_usage(input=1, output=2, reasoning=3, cached=4)
    registry.end(call.state, Status.FAILED, error=ErrorInfo(type="timeout", message="late"))


def a_job(registry: ProgressRegistry, clock: FakeClock) -> None:
    """Steps with messages, a stall and a deadline."""
    job = registry.create_tracker("job-1", "batch", 10, name="import", deadline=60.0, stall_after=20.0)
    for step in (1, 2):
        job.update(step=step, message="importing")
        clock.advance(10.0)
        registry.pulse(clock.now)
    clock.advance(30.0)
    registry.pulse(clock.now)
    job.update(step=3)
    registry.pulse(clock.now)
    job.complete()
