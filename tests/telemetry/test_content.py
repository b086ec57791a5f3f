"""Content in telemetry: where it was asked for, on spans of our own, and in the conventions' event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, NoOpLoggerProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core.content import Capture, Content, Piece, Prompt
from midspan.telemetry.content_events import ContentEvents
from midspan.telemetry.events import LogRecords
from midspan.tracking.instrumenting import CallTracker
from midspan.tracking.tracker import ProgressRegistry
from tests.telemetry.conftest import MakeCall

ASKED: list[dict[str, Any]] = [{"role": "user", "parts": [{"type": "text", "content": "sesame?"}]}]
TOLD: list[dict[str, Any]] = [
    {"role": "assistant", "parts": [{"type": "text", "content": "open"}], "finish_reason": "stop"}
]
KEYS = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions"}


@pytest.fixture
def logs() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()


@pytest.fixture
def events(registry: ProgressRegistry, recorder: object, logs: InMemoryLogRecordExporter) -> Iterator[None]:
    """Wired as the runtime does it: after the recorder of spans."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    registry.add_processor(ContentEvents(LogRecords(provider)))
    yield
    provider.shutdown()


def answered(call: CallTracker, capture: Capture, prompt: Prompt | None = None) -> CallTracker:
    """The call with its content, completed."""
    content = Content(capture, prompt or Prompt(ASKED))
    call.keep(content)
    content.add(Piece("open"))
    call.set_attributes({"gen_ai.response.finish_reasons": ("stop",)})
    call.record_usage(input=7, output=1)
    call.complete()
    return call


def attributes(exporter: InMemorySpanExporter) -> dict[str, Any]:
    (span,) = exporter.get_finished_spans()
    return dict(span.attributes or {})


def records(logs: InMemoryLogRecordExporter) -> list[LogRecord]:
    return [each.log_record for each in logs.get_finished_logs()]


@pytest.mark.usefixtures("recorder")
def test_messages_are_json_on_a_span_of_our_own(make_call: MakeCall, exporter: InMemorySpanExporter) -> None:
    tool = {"type": "function", "name": "look"}
    told = [{"type": "text", "content": "Be kind."}]
    answered(make_call(), Capture(span=True), Prompt(ASKED, told, [tool]))
    found = attributes(exporter)
    assert json.loads(found["gen_ai.input.messages"]) == ASKED
    assert json.loads(found["gen_ai.output.messages"]) == TOLD
    assert json.loads(found["gen_ai.system_instructions"]) == told
    assert json.loads(found["gen_ai.tool.definitions"]) == [tool]


@pytest.mark.usefixtures("recorder")
def test_a_text_that_was_cut_leaves_json_that_can_be_read(make_call: MakeCall, exporter: InMemorySpanExporter) -> None:
    long = [{"role": "user", "parts": [{"type": "text", "content": 'sesame"\n' * 10_000}]}]
    answered(make_call(), Capture(span=True), Prompt(long))
    (message,) = json.loads(attributes(exporter)["gen_ai.input.messages"])
    assert message["role"] == "user"
    assert message["parts"][0]["content"].startswith('sesame"\n')


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("capture", [Capture(preview=True), Capture(event=True)])
def test_a_span_has_none_without_its_own_switch(
    capture: Capture, make_call: MakeCall, exporter: InMemorySpanExporter
) -> None:
    answered(make_call(), capture)
    assert not attributes(exporter).keys() & KEYS


@pytest.mark.usefixtures("events")
def test_another_tools_span_gets_none_and_no_event_tells_of_it(
    make_call: MakeCall,
    exporter: InMemorySpanExporter,
    provider: TracerProvider,
    registry: ProgressRegistry,
    logs: InMemoryLogRecordExporter,
) -> None:
    call, theirs = make_call(), {"gen_ai.operation.name": "chat"}
    with (
        provider.get_tracer("theirs").start_as_current_span("their name", attributes=theirs),
        registry.attach(call.state),
    ):
        answered(call, Capture(span=True, event=True))
    found = attributes(exporter)
    assert found["midspan.operation.status"] == "completed"
    assert not found.keys() & KEYS
    assert records(logs) == []


@pytest.mark.usefixtures("events")
def test_the_conventions_event_has_the_messages_as_they_are(
    make_call: MakeCall, exporter: InMemorySpanExporter, logs: InMemoryLogRecordExporter
) -> None:
    call = answered(make_call(**{"gen_ai.provider.name": "openai"}), Capture(event=True))
    (record,) = records(logs)
    found: Any = dict(record.attributes or {})
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert json.loads(json.dumps(found["gen_ai.input.messages"])) == ASKED
    assert json.loads(json.dumps(found["gen_ai.output.messages"])) == TOLD
    assert {name: found[name] for name in found.keys() - KEYS} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 1,
        "midspan.operation.id": call.operation_id,
    }
    (span,) = exporter.get_finished_spans()
    assert span.context is not None
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("capture", [Capture(preview=True), Capture(span=True)])
def test_there_is_no_event_without_its_own_switch(
    capture: Capture, make_call: MakeCall, logs: InMemoryLogRecordExporter
) -> None:
    answered(make_call(), capture)
    assert records(logs) == []


@pytest.mark.usefixtures("events")
def test_a_call_of_which_nothing_is_kept_has_no_event(make_call: MakeCall, logs: InMemoryLogRecordExporter) -> None:
    make_call().complete()
    assert records(logs) == []


@pytest.mark.usefixtures("recorder")
def test_without_logs_no_event_is_made(
    registry: ProgressRegistry, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    records_of_nobody = LogRecords(NoOpLoggerProvider())
    monkeypatch.setattr(records_of_nobody, "write", pytest.fail)
    registry.add_processor(ContentEvents(records_of_nobody))
    answered(make_call(), Capture(event=True))
