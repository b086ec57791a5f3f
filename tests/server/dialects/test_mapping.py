"""Whatever state an operation is in, each dialect says something that its clients can read."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from midspan.core.operation import ErrorInfo, Event, Operation, Stage, Status, Tokens
from midspan.core.vocabulary import processing_session
from midspan.core.wire import encode
from midspan.server.dialects import chat, chat_api, long_tasks, monitor, steps

calm = settings(deadline=None, derandomize=True, database=None)
"""The same examples each time, however busy the machine is."""

FRAME = re.compile(r"(?:(?:id|event): [^\r\n]+\n){0,2}data: [^\r\n]+\n\n")

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.floats(min_value=0, max_value=4e9)
FRACTIONS = st.none() | st.floats(min_value=0, max_value=1)
TEXTS = st.none() | st.text(max_size=40)
STAGES = st.none() | st.sampled_from(list(Stage)).map(str) | st.text(min_size=1, max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    Event,
    sequence=st.integers(0, 1000),
    type=st.sampled_from(["start", "update", "stage", "stall", "resume", "end"]),
    at=TIMES,
    stage=STAGES,
    progress=FRACTIONS,
    step=st.none() | st.integers(0, 100),
    message=TEXTS,
)
OPERATIONS = st.builds(
    Operation,
    operation_id=st.text("abc", min_size=1),
    operation_type=st.text(max_size=10),
    name=st.text(max_size=10),
    status=st.sampled_from(list(Status)),
    status_reason=TEXTS,
    stage=STAGES,
    stages_completed=st.lists(st.text(min_size=1, max_size=10), max_size=3).map(tuple),
    progress=FRACTIONS,
    step=st.none() | st.integers(0, 100),
    total_steps=st.none() | st.integers(0, 100),
    message=TEXTS,
    metadata=st.none() | st.dictionaries(st.text(max_size=8), VALUES, max_size=3),
    result=VALUES,
    error=st.none() | st.builds(ErrorInfo, type=st.text(min_size=1, max_size=10), message=TEXTS),
    tokens=st.none() | st.builds(Tokens, output=st.none() | st.integers(0, 1000)),
    created_at=TIMES,
    started_at=st.none() | TIMES,
    updated_at=TIMES,
    progressed_at=TIMES,
    ended_at=st.none() | TIMES,
    elapsed_seconds=st.floats(min_value=0, max_value=1e9),
    estimated_remaining_seconds=st.none() | st.floats(min_value=0, max_value=1e9),
    epoch=st.integers(0, 2**63 - 1),
    sequence=st.integers(0, 1000),
    history=st.lists(EVENTS, max_size=4).map(tuple),
)


def said(frames: list[bytes]) -> list[tuple[str | None, dict[str, Any]]]:
    """(event, data) of each frame; fails where one is not exactly one event."""
    found = []
    for frame in frames:
        text = frame.decode("utf-8")
        assert FRAME.fullmatch(text), text
        fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
        found.append((fields.get("event"), json.loads(fields["data"])))
    return found


@calm
@given(OPERATIONS)
def test_every_change_is_valid_frames_of_seed_s1(operation: Operation) -> None:
    *before, (last, data) = said(long_tasks.frames(operation))
    assert {event for event, _ in before} <= {"progress"}
    if operation.status in (Status.FAILED, Status.LOST):
        assert last == "error" and isinstance(data["error"], str) and data["error"]
    elif operation.is_terminal:
        assert (last, data) == ("done", {"status": str(operation.status)})
    else:
        assert last == "progress" and f"{data['progress']:.0f}% - {data['message']}"


@calm
@given(OPERATIONS)
def test_the_data_of_seed_s1_has_its_types(operation: Operation) -> None:
    data = json.loads(encode(long_tasks.progress_data(operation)))
    assert data["status"] in ("running", "completed", "failed", "cancelled")
    assert 0 <= data["progress"] <= 100
    assert isinstance(data["message"], str)
    assert data["started_at"].endswith("Z") and data["updated_at"].endswith("Z")
    assert ("error" in data) == (data["status"] == "failed")


@calm
@given(OPERATIONS)
def test_every_change_is_valid_events_of_seed_s2(operation: Operation) -> None:
    frames = said(list(chat_api.Frames(chat.enhanced_events)(operation)))
    assert all(event is None for event, _ in frames)
    kinds = [data["type"] for _, data in frames]
    wanted = {
        Status.COMPLETED: ["enhanced_progress", "enhanced_complete"],
        Status.PENDING: ["enhanced_progress"],
        Status.RUNNING: ["enhanced_progress"],
    }
    assert kinds == wanted.get(operation.status, ["enhanced_error"])
    for _, data in frames:
        if data["type"] == "enhanced_progress":
            assert isinstance(data["progress"], int) and 0 <= data["progress"] <= 100
            assert data["stage"] and isinstance(data["message"], str)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["timestamp"])


@calm
@given(OPERATIONS)
def test_every_change_is_valid_legacy_events_of_seed_s2(operation: Operation) -> None:
    ((event, data),) = said(list(chat_api.Frames(chat.legacy_events)(operation)))
    assert event is None
    assert data["type"] in ("progress", "complete", "error")
    assert (data["type"] == "complete") == (operation.status is Status.COMPLETED)


@calm
@given(OPERATIONS, st.integers(0, 1000))
def test_the_documents_of_seed_s2_have_their_types(operation: Operation, subscribers: int) -> None:
    status = json.loads(encode(chat.enhanced_status(operation)))
    assert status["type"] == "enhanced_status" and isinstance(status["task_info"], dict)
    info = json.loads(encode(chat.progress_info(operation, subscribers)))
    assert info["tracker_info"]["subscribers_count"] == subscribers
    assert info["current_status"] and info["tracker_active"] is not operation.is_terminal


@calm
@given(OPERATIONS)
def test_every_session_of_seed_s3_has_its_types(operation: Operation) -> None:
    row = json.loads(encode(monitor.session(operation)))
    assert set(processing_session(operation)) <= set(row)
    for each in (row, *row["events"], json.loads(encode(monitor.session_event(operation)))):
        assert 0 <= each["progress"] <= 1
        assert each["session_id"] == operation.operation_id
    assert 0 <= row["progress_percent"] <= 100
    assert row["success"] in ((True, False) if operation.is_terminal else (None,))
    assert (row["error"] is None) == (operation.status in (Status.PENDING, Status.RUNNING, Status.COMPLETED))


@calm
@given(st.lists(OPERATIONS, max_size=5))
def test_the_statistics_of_seed_s3_add_up(operations: list[Operation]) -> None:
    row = json.loads(encode(monitor.statistics(operations)))
    parts = ("active_sessions", "completed_sessions", "failed_sessions", "cancelled_sessions")
    assert sum(row[part] for part in parts) == row["total_sessions"] == len(operations)
    assert row["success_rate"] is None or 0 <= row["success_rate"] <= 1


@calm
@given(OPERATIONS)
def test_the_details_of_seed_s0_have_its_five_statuses(operation: Operation) -> None:
    row = json.loads(encode(steps.details(operation)))
    assert row["status"] in ("pending", "running", "completed", "failed", "cancelled")
    assert row["percent_complete"] is None or 0 <= row["percent_complete"] <= 100
    assert len(row["steps"]) == len(operation.history)


@calm
@given(st.lists(OPERATIONS, max_size=5))
def test_the_summary_of_seed_s0_adds_up(operations: list[Operation]) -> None:
    row = steps.summary(operations)
    assert sum(row["status_counts"].values()) == sum(row["type_counts"].values()) == len(operations)
