"""Seed S3, "Real-Time LLM Processing Monitor": its own Python, run as it stands."""

from __future__ import annotations

import dataclasses
import logging
import tracemalloc
import typing
from enum import Enum
from typing import Any

import openai
import pytest

from benchmarks.workloads import BUDGETS, WORKLOADS
from midspan import ProgressTracker
from midspan.compat.monitor import STAGE_PROGRESS, BaseProcessor, ProcessingEvent, ProcessingSession, ProcessingStage
from midspan.models import Status
from midspan.server.dialects import monitor
from midspan.tracking.tracker import get_progress_registry
from tests.seeds.reading import S3, blocks, needs_seeds, run_block

Row = dict[str, Any]
MESSAGES: Any = [{"role": "user", "content": "text"}]


class OllamaProcessor(BaseProcessor):
    """The seed's own processor is the application's; ours is what it inherits from."""


@pytest.fixture
def names() -> Row:
    """What the seed's examples take for granted."""
    given = (BaseProcessor, OllamaProcessor, ProcessingEvent, ProcessingSession, dataclasses.dataclass, Enum, Any)
    typed = {name: getattr(typing, name) for name in ("Dict", "List", "Optional")}
    return {
        "__name__": "seed",
        "ProcessingStage": ProcessingStage,
        **typed,
        **{each.__name__: each for each in given},
    }


def block_with(text: str) -> str:
    (found,) = [block for block in blocks(S3) if text in block]
    return found


@needs_seeds
def test_s3_27_38_its_processors_are_switched_on_and_off(names: Row) -> None:
    on, off = block_with("enable_monitoring").split("# Disable")
    run_block(on, names)
    assert names["processor"].enable_monitoring
    run_block(off.partition("\n")[2], names)
    assert not names["processor"].enable_monitoring


@needs_seeds
def test_s3_32_33_34_35_38_its_own_processor_is_a_session(names: Row) -> None:
    """Its class, started, at a stage, streaming, finished: each block as it stands."""
    run_block(block_with("class MyProcessor"), names)
    names |= {
        "self": names["MyProcessor"]({}),
        "content": "text",
        "task": "summarize",
        "model": "llama",
        "token": "x",
        "token_count": 1,
        "result": "done",
    }
    run_block(block_with("start_monitoring_session"), names)
    run_block(block_with("CONNECTING_TO_MODEL"), names)
    operation = get_progress_registry().get(names["session_id"])
    assert operation is not None
    assert (operation.stage, operation.message) == ("connecting_to_model", "Connecting to custom model")
    run_block(block_with("# Emit processing stage"), names)
    ended = get_progress_registry().get(names["session_id"])
    assert ended is not None
    assert ended.status is Status.COMPLETED
    assert ended.stages_completed[-2:] == ("validating_input", "streaming_response")
    assert ended.tokens is not None and ended.tokens.output == 1
    run_block(block_with("final_result=result"), names)


@needs_seeds
@pytest.mark.parametrize("ours", [ProcessingSession, ProcessingEvent])
def test_s3_36_37_its_dataclasses_have_our_fields(names: Row, ours: type) -> None:
    run_block(block_with(f"class {ours.__name__}:"), names)
    theirs = names[ours.__name__]
    assert [field.name for field in dataclasses.fields(theirs)] == [field.name for field in dataclasses.fields(ours)]


@needs_seeds
def test_s3_39_40_its_custom_stages(names: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    run_block(block_with("class ProcessingStage(Enum)"), names)
    run_block(block_with("STAGE_PROGRESS = {"), names)
    for stage, progress in names["STAGE_PROGRESS"].items():
        monkeypatch.setitem(STAGE_PROGRESS, stage, progress)
    processor = BaseProcessor({})
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    seen = []
    for stage in names["ProcessingStage"]:
        processor.emit_stage(session_id, stage)
        session = processor.get_monitoring_session(session_id)
        assert session is not None
        seen.append((session.current_stage, session.progress))
    assert seen == [("custom_validation", 0.15), ("custom_processing", 0.75)]


@needs_seeds
def test_s3_54_its_debug_mode(names: Row) -> None:
    run_block(block_with("logging.DEBUG"), names)
    assert logging.getLogger("selene.processors.monitoring").level == logging.DEBUG
    logging.getLogger("selene.processors.monitoring").setLevel(logging.NOTSET)


def test_s3_01_a_call_is_a_session_by_itself(client: openai.OpenAI) -> None:
    """Without a processor: the SDK's own call, with its stages and its tokens."""
    list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True))
    (operation,) = get_progress_registry().operations()
    session = monitor.session(operation)
    assert (session["success"], session["model"], session["processor_type"]) == (True, "ok", "openai")
    assert "streaming_response" in [event["stage"] for event in session["events"]]
    assert session["metadata"]["token_count"] > 0


def test_s3_48_49_what_a_stage_has_chosen_is_in_the_metadata() -> None:
    """A template and its variables, the models that were tried."""
    processor = BaseProcessor({})
    session_id = processor.start_monitoring_session("text", "summarize")
    processor.emit_stage(
        session_id, ProcessingStage.RESOLVING_TEMPLATE, "Found it", {"template_id": "t1", "variables": "language, tone"}
    )
    for model in ("large", "small"):
        processor.emit_stage(session_id, ProcessingStage.SELECTING_MODEL, f"Trying {model}", {"model_tried": model})
    session = processor.get_monitoring_session(session_id)
    assert session is not None
    assert session.metadata["template_id"] == "t1"
    tried = [event.metadata["model_tried"] for event in session.events if "model_tried" in event.metadata]
    assert tried == ["large", "small"]


def test_s3_50_the_steps_of_a_chain_are_its_children() -> None:
    """Whether they run one after the other or at the same time."""
    with ProgressTracker(name="chain", operation_type="workflow", expect_children=2) as chain:
        processor = BaseProcessor({})
        steps = [processor.start_monitoring_session("text", name) for name in ("draft", "review")]
        processor.finish_monitoring_session(steps[0])
        assert chain.get_progress_details().progress == 0.5
        processor.finish_monitoring_session(steps[1], success=False)
    operations = [get_progress_registry().get(step) for step in steps]
    assert [operation and operation.parent_id for operation in operations] == [chain.operation_id] * 2


def test_s3_41_what_a_stage_costs_is_measured_against_the_seeds_tenth_of_a_millisecond() -> None:
    (budget,) = [each for each in BUDGETS if each.name == "monitor-stage"]
    assert (budget.workload, budget.limit, budget.unit) == ("updates.stages", 100.0, "µs")
    assert budget.workload in WORKLOADS


def test_s3_42_a_session_of_five_stages_is_kept_in_two_kilobytes() -> None:
    """The seed says about one; docs/seeds.md says how much it is."""
    processor, stages, count = BaseProcessor({}), list(ProcessingStage)[:5], 200

    def sessions(model: str) -> None:
        for _ in range(count):
            session_id = processor.start_monitoring_session("text", "summarize", model)
            for stage in stages:
                processor.emit_stage(session_id, stage)
            processor.finish_monitoring_session(session_id, final_result="done")
        get_progress_registry().settle()

    sessions("warm")
    tracemalloc.start()
    try:
        sessions("llama")
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 300 < used / count < 2048


def test_s3_51_the_embeddings_of_a_vector_search_are_seen(client: openai.OpenAI) -> None:
    """And what the application tells of the search around them; the vector database itself is not."""
    with ProgressTracker(name="search", operation_type="retrieval", total_steps=2) as search:
        client.embeddings.create(model="embed-1", input="rivers")
        search.update(1, "Looking for the nearest")
    (embedding,) = [each for each in get_progress_registry().operations() if each.parent_id == search.operation_id]
    assert (embedding.operation_type, embedding.model) == ("embedding", "embed-1")


@needs_seeds
def test_no_block_of_it_is_left_out() -> None:
    """Those that the tests above run are all that there are."""
    seen = [
        "enable_monitoring",
        "# Emit processing stage",
        "class ProcessingSession:",
        "class ProcessingEvent:",
        "class MyProcessor",
        "start_monitoring_session",
        "CONNECTING_TO_MODEL",
        "final_result=result",
        "class ProcessingStage(Enum)",
        "STAGE_PROGRESS = {",
        "logging.DEBUG",
    ]
    assert sorted(map(block_with, seen)) == sorted(blocks(S3))
