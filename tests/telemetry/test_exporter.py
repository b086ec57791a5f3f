"""Finished GenAI spans of any tool become ended operations, each once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from midspan.core import failures
from midspan.core.operation import Status
from midspan.telemetry.exporter import OperationExporter
from midspan.telemetry.spans import SpanRecorder
from midspan.tracking.tracker import ProgressRegistry
from tests.environ import clean_environ

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "writer"}


@pytest.fixture
def batch(registry: ProgressRegistry) -> Iterator[TracerProvider]:
    """A provider that exports to midspan in batches, as OpenTelemetry's own set-up does."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OperationExporter(registry)))
    yield made
    made.shutdown()


def test_a_finished_span_is_an_ended_operation_with_its_own_times_and_usage(
    registry: ProgressRegistry, batch: TracerProvider
) -> None:
    span = batch.get_tracer("theirs").start_span("chat m", attributes=CHAT, start_time=5_000_000_000)
    span.set_attribute("gen_ai.usage.output_tokens", 3)
    span.end(7_500_000_000)
    assert registry.operations() == []
    batch.force_flush()
    (seen,) = registry.operations()
    assert (seen.operation_type, seen.name, seen.provider, seen.model) == ("llm_request", "chat", "openai", "m")
    assert (seen.status, seen.started_at, seen.ended_at) == (Status.COMPLETED, 5.0, 7.5)
    assert seen.span_id == trace.format_span_id(span.get_span_context().span_id)
    assert seen.tokens is not None
    assert seen.tokens.output == 3
    (series,) = registry.statistics.series()
    assert (series.started, series.ended[Status.COMPLETED], series.durations[Status.COMPLETED].sum) == (1, 1, 2.5)


def test_a_failed_span_is_a_failed_operation(registry: ProgressRegistry, batch: TracerProvider) -> None:
    span = batch.get_tracer("theirs").start_span("chat m", attributes={**CHAT, "error.type": "429"})
    span.set_status(StatusCode.ERROR, "slow down")
    span.end()
    batch.force_flush()
    (seen,) = registry.operations()
    assert seen.error is not None
    assert (seen.status, seen.error.type, seen.error.message) == (Status.FAILED, "429", "slow down")


def test_spans_of_one_export_find_their_parents_also_with_other_spans_between(
    registry: ProgressRegistry, batch: TracerProvider
) -> None:
    tracer = batch.get_tracer("theirs")
    with (
        tracer.start_as_current_span("invoke_agent writer", attributes=AGENT),
        tracer.start_as_current_span("POST"),
        tracer.start_as_current_span("chat m", attributes=CHAT),
        tracer.start_as_current_span("another tool's", attributes=CHAT),
    ):
        pass
    batch.force_flush()
    call, agent = registry.operations()
    assert (call.operation_type, agent.operation_type, agent.parent_id) == ("llm_request", "agent", None)
    assert call.parent_id == call.root_id == agent.operation_id


def test_a_span_is_recorded_once_and_other_spans_not_at_all(
    registry: ProgressRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("theirs")
    for attributes in (CHAT, {"http.request.method": "POST"}, {**CHAT, "midspan.operation.id": "known"}):
        tracer.start_span("span", attributes=attributes).end()
    ours = OperationExporter(registry)
    for _ in range(2):
        assert ours.export(exporter.get_finished_spans()) is SpanExportResult.SUCCESS
    assert len(registry.operations()) == 1


def test_spans_of_operations_that_midspan_has_seen_itself_are_left_out(
    registry: ProgressRegistry, recorder: SpanRecorder, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    registry.create_tracker("mine").complete()
    OperationExporter(registry).export(exporter.get_finished_spans())
    assert [operation.operation_id for operation in registry.operations()] == ["mine"]


@pytest.mark.parametrize("variables", [{"MIDSPAN_ENABLED": "false"}, {"MIDSPAN_NO_SUCH_THING": "1"}])
def test_where_midspan_is_off_nothing_is_recorded(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch, provider: TracerProvider, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider.add_span_processor(SimpleSpanProcessor(OperationExporter(registry)))
    provider.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()
    assert registry.operations() == []


def test_a_failure_inside_reaches_nobody(
    registry: ProgressRegistry,
    monkeypatch: pytest.MonkeyPatch,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    provider.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()
    monkeypatch.setattr(registry, "add", lambda _: 1 / 0)
    assert OperationExporter(registry).export(exporter.get_finished_spans()) is SpanExportResult.SUCCESS
    assert failures.counts()["exporter"] == 1


APP = f"""
import json
from opentelemetry import trace
from midspan.tracking.tracker import get_progress_registry

trace.get_tracer("theirs").start_span("chat m", attributes={CHAT!r}).end()
before = [str(o.status) for o in get_progress_registry().operations()]
trace.get_tracer_provider().force_flush()
print(json.dumps([before, [str(o.status) for o in get_progress_registry().operations()]]))
"""


@pytest.mark.parametrize(
    ("disabled", "expected"), [("midspan", [[], ["completed"]]), ("", [["completed"], ["completed"]])]
)
def test_the_entry_point_works_under_opentelemetry_instrument_alone_and_beside_the_mirror(
    disabled: str, expected: object
) -> None:
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("METRICS", "LOGS")}
    environ = {
        **clean_environ(),
        **exporters,
        "OTEL_TRACES_EXPORTER": "midspan",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", APP]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == expected
