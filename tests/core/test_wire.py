"""One encoder: every field, RFC 3339 times, explicit nulls, and nothing escaped."""

from __future__ import annotations

import json
import re

import pytest

from midspan.core.operation import Operation
from midspan.core.wire import encode, pack, rfc3339, to_dict, unpack
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(at: float | None, wanted: str | None) -> None:
    assert rfc3339(at) == wanted


def test_every_field_is_there_and_unknown_is_null(registry: ProgressRegistry) -> None:
    row = json.loads(encode(registry.create_tracker("a").get_progress_details()))
    assert set(row) == {*Operation.__struct_fields__, "percent_complete"}
    assert row["progress"] is None
    assert row["percent_complete"] is None
    assert row["error"] is None
    assert row["cancel"] == {"mode": "none", "requested_at": None}


def test_an_operation_reads_as_promised(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("a", total_steps=4)
    tracker.update(1, "分析中")
    clock.advance(1.5)
    tracker.fail(ValueError("no"))
    text = encode(tracker.get_progress_details()).decode()
    row = json.loads(text)
    assert "分析中" in text
    assert (row["status"], row["percent_complete"], row["elapsed_seconds"]) == ("failed", 25.0, 1.5)
    assert row["error"] == {"type": "ValueError", "message": "no"}
    assert [event["type"] for event in row["history"]] == ["start", "update", "end"]
    times = [value for name, value in row.items() if name.endswith("_at") and value is not None]
    assert len(times) == 5
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)


def test_no_number_of_a_row_is_larger_than_what_a_browser_reads_exactly(registry: ProgressRegistry) -> None:
    row = to_dict(registry.create_tracker("a").get_progress_details())
    assert 0 < row["epoch"] < 2**53
    assert json.loads(encode(row), parse_int=float)["epoch"] == row["epoch"]


def test_what_is_no_json_is_shown_as_its_repr(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(metadata={"o": complex(1, 2), "nan": float("nan")})
    row = json.loads(encode(tracker.get_progress_details()))
    assert row["metadata"]["o"] == "(1+2j)"


def test_packing_gives_the_same_operation_back(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker("a", "batch", 4, metadata={"k": 1, "s": "x"}, model="m", total=3)
    tracker.update(2, "half", rows=[1, 2])
    tracker.advance(outcome="failed")
    clock.advance(3)
    tracker.complete(result={"deep": [1, {"x": None}]})
    operation = tracker.get_progress_details()
    assert unpack(pack(operation)) == operation
    assert to_dict(unpack(pack(operation))) == to_dict(operation)
