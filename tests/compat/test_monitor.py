"""Seed S3's processors: stages, tokens and the end of a session, which is an operation."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any, ClassVar

import pytest

from midspan.compat import monitor
from midspan.compat.monitor import BaseProcessor, ProcessingEvent, ProcessingSession, ProcessingStage
from midspan.core import failures
from midspan.core.content import Capture
from midspan.core.operation import Operation
from midspan.models import Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


class CustomStage(Enum):
    CUSTOM_VALIDATION = "custom_validation"
    CUSTOM_PROCESSING = "custom_processing"


@pytest.fixture
def processor(registry: ProgressRegistry) -> BaseProcessor:
    return BaseProcessor({}, registry=registry)


def operation(processor: BaseProcessor, session_id: str) -> Operation:
    found = processor._registry.get(session_id)
    assert found is not None
    return found


def test_s3_02_03_04_05_06_07_08_09_10_11_the_ten_stages(processor: BaseProcessor) -> None:
    """Each has its label's name, and none of them lets the progress fall."""
    labels = [
        "Initializing",
        "Validating Input",
        "Resolving Template",
        "Generating Prompt",
        "Selecting Model",
        "Connecting to Model",
        "Sending Request",
        "Streaming Response",
        "Processing Response",
        "Collecting Metadata",
    ]
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    seen = []
    for label in labels:
        processor.emit_stage(session_id, ProcessingStage[label.upper().replace(" ", "_")], label)
        seen.append(operation(processor, session_id).progress)
    assert seen == sorted(seen) and len(set(seen)) == 10
    assert operation(processor, session_id).stages_completed == tuple(
        label.lower().replace(" ", "_") for label in labels[:-1]
    )


def test_s3_14_32_34_35_38_a_session_from_start_to_end(processor: BaseProcessor) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    assert session_id != processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, ProcessingStage.VALIDATING_INPUT, "Validating input content")
    now = operation(processor, session_id)
    assert (now.status, now.stage, now.message) == (Status.RUNNING, "validating_input", "Validating input content")
    assert (now.name, now.model) == ("summarize", "llama")
    processor.finish_monitoring_session(session_id, success=True, final_result="the summary")
    ended = operation(processor, session_id)
    assert ended.status is Status.COMPLETED
    assert ended.metadata is not None
    assert ended.metadata["result_length"] == 11
    assert "summary" not in repr(ended.result)


def test_a_session_that_does_not_succeed_fails_with_its_error(processor: BaseProcessor) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.finish_monitoring_session(session_id, success=False, error=ConnectionError("no model"))
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    assert session.error == "no model"
    assert session.events[-1].error == "no model"


def test_s3_22_33_tokens_are_counted_and_not_kept(processor: BaseProcessor, clock: FakeClock) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    clock.advance(2.0)
    for number, token in enumerate(("Once", " upon", " a"), 1):
        processor.emit_streaming_token(session_id, token, number)
    now = operation(processor, session_id)
    assert now.stage == "streaming_response"
    assert (now.chunks, now.bytes, now.time_to_first_chunk) == (3, 11, 2.0)
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    assert session.metadata["token_count"] == 3
    assert session.metadata["processing_time"] == 2.0
    assert session.streaming_tokens == []
    assert "upon" not in repr(now)


def test_tokens_without_a_count_are_counted_here(processor: BaseProcessor) -> None:
    session_id = processor.start_monitoring_session("text")
    for _ in range(4):
        processor.emit_streaming_token(session_id, "x")
    tokens = operation(processor, session_id).tokens
    assert tokens is not None
    assert (tokens.output, tokens.estimated) == (4, True)


def test_s3_36_37_the_dataclasses(processor: BaseProcessor, clock: FakeClock) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    clock.advance(1.0)
    processor.emit_stage(session_id, ProcessingStage.GENERATING_PROMPT, "Rendering", {"template_id": "t1"})
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    names = "session_id start_time current_stage progress content_preview task model processor_type events"
    assert list(ProcessingSession.__dataclass_fields__) == [*names.split(), "streaming_tokens", "metadata", "error"]
    assert (session.session_id, session.start_time) == (session_id, 1_700_000_000.0)
    assert session.current_stage is ProcessingStage.GENERATING_PROMPT
    assert session.progress == pytest.approx(0.08)
    assert (session.task, session.model, session.processor_type) == ("summarize", "llama", "BaseProcessor")
    assert (session.content_preview, session.error) == ("", None)
    assert list(ProcessingEvent.__dataclass_fields__) == [
        *["session_id", "stage", "timestamp", "message", "progress", "metadata", "error"]
    ]
    staged = next(event for event in session.events if event.message == "Rendering")
    assert (staged.stage, staged.timestamp) == (ProcessingStage.GENERATING_PROMPT, 1_700_000_001.0)
    assert session.metadata["template_id"] == "t1"


def test_s3_15_the_timeline_has_every_stage(processor: BaseProcessor) -> None:
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    for stage in (ProcessingStage.SELECTING_MODEL, ProcessingStage.SENDING_REQUEST):
        processor.emit_stage(session_id, stage)
    processor.finish_monitoring_session(session_id)
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    stages = list(dict.fromkeys(event.stage for event in session.events))
    assert stages[-2:] == [ProcessingStage.SELECTING_MODEL, ProcessingStage.SENDING_REQUEST]


def test_s3_39_40_custom_stages_have_their_place(registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(monitor.STAGE_PROGRESS, CustomStage.CUSTOM_VALIDATION, 0.15)

    class MyProcessor(BaseProcessor):
        STAGE_PROGRESS: ClassVar = {CustomStage.CUSTOM_PROCESSING: 0.75}

    processor = MyProcessor({}, registry=registry)
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, CustomStage.CUSTOM_VALIDATION, "Looking closer")
    assert operation(processor, session_id).progress == 0.15
    processor.emit_stage(session_id, CustomStage.CUSTOM_PROCESSING)
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    assert (session.current_stage, session.progress) == ("custom_processing", 0.75)
    assert session.processor_type == "MyProcessor"


def test_a_stage_may_be_any_string(processor: BaseProcessor) -> None:
    session_id = processor.start_monitoring_session("text")
    processor.emit_stage(session_id, "reranking")
    assert operation(processor, session_id).stage == "reranking"


@pytest.mark.parametrize("config", [{"enable_monitoring": False}])
def test_s3_27_44_monitoring_can_be_switched_off(registry: ProgressRegistry, config: dict[str, Any]) -> None:
    """Per processor; its code stays the same."""
    processor = BaseProcessor(config, registry=registry)
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, ProcessingStage.SENDING_REQUEST, "Sending")
    processor.emit_streaming_token(session_id, "x", 1)
    processor.finish_monitoring_session(session_id)
    assert len(session_id) == 32
    assert registry.operations() == []
    assert BaseProcessor(registry=registry).enable_monitoring


def test_s3_47_what_monitoring_is_told_never_breaks_the_processing(processor: BaseProcessor) -> None:
    """Unknown sessions, ended ones, and content that is none."""
    processor.emit_stage("nobody", ProcessingStage.SENDING_REQUEST)
    processor.emit_streaming_token("nobody", "x", 1)
    processor.finish_monitoring_session("nobody")
    session_id = processor.start_monitoring_session({"no": "text"})
    processor.finish_monitoring_session(session_id, final_result=["no", "text"])
    processor.emit_stage(session_id, ProcessingStage.SENDING_REQUEST)
    assert operation(processor, session_id).status is Status.COMPLETED
    assert processor.get_monitoring_session("nobody") is None


def test_s3_47_a_session_that_cannot_be_begun_is_one_that_nobody_sees(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something of the application's that midspan cannot read: logged once, and the processing goes on."""
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setitem(monitor.STAGE_PROGRESS, "custom", "late")
    processor = BaseProcessor({}, registry=registry)
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, "custom")
    processor.finish_monitoring_session(session_id)
    assert failures.counts()["monitor"] == 1
    assert registry.operations() == []


def test_s3_54_each_step_is_logged_at_debug(processor: BaseProcessor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="midspan.compat.monitor"):
        session_id = processor.start_monitoring_session("text", "summarize", "llama")
        processor.emit_stage(session_id, ProcessingStage.SENDING_REQUEST, "Sending")
        processor.finish_monitoring_session(session_id)
    assert [record.getMessage() for record in caplog.records] == [
        f"session {session_id} started: task summarize, model llama",
        f"session {session_id}: sending_request Sending",
        f"session {session_id} finished: success",
    ]


def test_s3_53_no_event_loop_is_needed(processor: BaseProcessor) -> None:
    """All of it is called from plain code."""
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, ProcessingStage.CONNECTING_TO_MODEL, "Connecting to custom model")
    assert operation(processor, session_id).stage == "connecting_to_model"


def test_content_is_kept_where_it_is_captured(processor: BaseProcessor, registry: ProgressRegistry) -> None:
    """`MIDSPAN_CAPTURE_CONTENT`: a preview of what is processed, and what came of it."""
    registry.capture = Capture(preview=True)
    session_id = processor.start_monitoring_session("Once upon a time", "summarize", "llama")
    processor.finish_monitoring_session(session_id, final_result="A tale")
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    assert session.content_preview == "Once upon a time"
    assert operation(processor, session_id).result == "A tale"
