"""Seed S2, "Real-Time Progress Updates": its own Python and its own JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from midspan.compat.chat import create_progress_aware_task
from midspan.core.vocabulary import enhanced_progress
from midspan.server.dialects import chat
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry
from tests.seeds.reading import S2, blocks, needs_seeds, run_block

Row = dict[str, Any]


@needs_seeds
def test_s2_02_03_04_34_the_seeds_own_python() -> None:
    """Awaited at its top, with a callback of the reader's own."""
    told: list[Row] = []
    names: Row = {
        "__name__": "seed",
        "create_progress_aware_task": create_progress_aware_task,
        "task_id": "task_123",
        "sse_callback": told.append,
    }
    (block,) = blocks(S2)
    run_block(block, names)
    assert [(event["stage"], event["progress"], event["message"]) for event in told] == [
        ("analyzing_rag", 25, "正在映射神明識別碼..."),
        ("analyzing_rag", 35, "正在查找 GuanYu 籤詩..."),
        ("generating_llm", 75, "結合傳統智慧與現代解釋..."),
    ]
    operation = get_progress_registry().get("task_123")
    assert operation is not None
    assert operation.stages_completed == ("analyzing_rag",)


def events_of(text: str) -> list[Row]:
    """The seed's events, written one a line; `{...}` stands for an object."""
    lines = re.findall(r'^(?:data: )?(\{"type".*\})$', text, re.MULTILINE)
    return [json.loads(line.replace("{...}", "{}")) for line in lines]


@needs_seeds
def test_s2_06_07_08_09_10_11_the_fields_of_the_seeds_own_events(registry: ProgressRegistry, clock: FakeClock) -> None:
    """Each of its events has exactly the fields that ours has."""
    tracker = registry.create_tracker("task_123")
    tracker.update(stage="processing", progress=0.05, message="on")
    running = tracker.get_progress_details()
    tracker.complete(result={})
    done = tracker.get_progress_details()
    ours = {
        row["type"]: row
        for row in (
            chat.enhanced_status(running),
            enhanced_progress(running),
            *chat.enhanced_events(done),
            chat.legacy_status(running),
            *chat.legacy_events(running),
            *chat.legacy_events(done),
        )
    }
    theirs = events_of(S2.read_text(encoding="utf-8"))
    assert {row["type"] for row in theirs} == set(ours)
    for row in theirs:
        assert set(row) <= set(ours[row["type"]])
    full = [row for row in theirs if "timestamp" in row or row.get("summary")]
    assert len(full) == 11
    for row in full:
        assert set(row) == set(ours[row["type"]])
        assert set(row.get("summary", {})) == set(ours[row["type"]].get("summary", {}))


@needs_seeds
def test_s2_20_24_the_fields_of_the_seeds_own_answers(registry: ProgressRegistry) -> None:
    documents = [json.loads(block) for block in blocks(S2, "json") if '"task_id"' in block]
    started, progress = documents
    assert set(started) == {"task_id", "sse_url", "enhanced_sse_url", "status", "streaming_enabled"}
    ours = chat.progress_info(registry.create_tracker("task_123").get_progress_details(), 1)
    assert set(progress) == set(ours)
    assert set(progress["tracker_info"]) == set(ours["tracker_info"])


@pytest.mark.parametrize("status", ["queued", "processing", "completed"])
def test_s2_14_stages_of_its_lifecycle(registry: ProgressRegistry, status: str) -> None:
    """A task without stages of its own goes from `queued` over `processing` to `completed`."""
    tracker = registry.create_tracker("task_123")
    if status != "queued":
        tracker.start()
    if status == "completed":
        tracker.complete()
    assert enhanced_progress(tracker.get_progress_details())["stage"] == status
