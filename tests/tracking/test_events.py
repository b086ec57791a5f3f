"""`ProgressEvent`."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from midspan.testing import FakeClock
from midspan.tracking.events import ProgressEvent
from midspan.tracking.tracker import ProgressRegistry


def test_its_parts_have_the_promised_types() -> None:
    before = datetime.now(UTC)
    event = ProgressEvent(0.5)
    assert (event.progress, event.status, event.data, event.type) == (0.5, None, {}, "progress")
    assert before <= event.timestamp <= datetime.now(UTC)


def test_it_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ProgressEvent(0.5).progress = 1.0  # type: ignore[misc]


def test_its_dict_is_json() -> None:
    at = datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)
    data = {"path": object(), "nested": [{3: {1, 2}}], "when": at, "bytes": b"x"}
    row = json.loads(json.dumps(ProgressEvent(0.5, "on", data, at).dict()))
    assert (row["progress"], row["status"], row["type"]) == (0.5, "on", "progress")
    assert row["timestamp"] == "2026-11-21T10:00:00.123Z"
    assert row["data"]["nested"] == [{"3": [1, 2]}]
    assert row["data"]["path"].startswith("<object")


def test_a_result_of_any_type_has_a_dict() -> None:
    assert ProgressEvent(1.0, data=complex(1, 2), type="result").dict()["data"] == "(1+2j)"


def test_it_reads_a_snapshot(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("a", name="copy", metadata={"k": 1})
    tracker.enter_stage("reading")
    tracker.update(progress=0.25, message="on it")
    event = ProgressEvent.of(tracker.get_progress_details())
    assert (event.progress, event.status) == (0.25, "on it")
    assert event.data == {"k": 1, "operation_id": "a", "name": "copy", "stage": "reading"}
    assert event.timestamp.timestamp() == clock.now
