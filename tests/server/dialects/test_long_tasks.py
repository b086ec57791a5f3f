"""Seed S1's stream over a real server, and the data of its tools."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import httpx2
import pytest

from midspan.models import Status
from midspan.server.dialects.long_tasks import failure, frames, progress_data, success
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving
from tests.server.dialects.following import following

Eventually = Callable[..., None]


def stream_of(operation_id: str) -> str:
    return f"/progress/{operation_id}/stream"


def test_s1_02_05_06_08_09_22_progress_while_it_runs_and_done_at_its_end(
    registry: ProgressRegistry, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    """100 % comes twice: running, then completed. After `done` the stream ends."""
    tracker = registry.create_tracker("abc12345", total_steps=2)
    tracker.update(1, "Processing step 1/2 - data_analysis")
    with following(client, stream_of("abc12345")) as stream:
        eventually(lambda: len(stream.data) == 1)
        tracker.update(2, "Processing step 2/2 - data_analysis")
        registry.pulse(clock())
        eventually(lambda: len(stream.data) == 2)
        tracker.complete("Completed 2 steps successfully")
        assert stream.over.wait(10)
    shown = [(row.get("progress"), row["status"]) for row in stream.data]
    assert shown == [(50.0, "running"), (100.0, "running"), (100.0, "completed"), (None, "completed")]
    assert stream.events == ["progress", "progress", "progress", "done"]
    assert stream.data[2]["message"] == "Completed 2 steps successfully"


def test_progress_is_not_told_twice(
    registry: ProgressRegistry, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    """The pulse brings what the first frame has shown already; another task's stream shows that it has."""
    tracker, other = registry.create_tracker("abc12345"), registry.create_tracker("other123")
    for message in ("none", "one"):
        tracker.update(message=message)
    with following(client, stream_of("abc12345")) as stream, following(client, stream_of("other123")) as barrier:
        eventually(lambda: stream.data and barrier.data)
        registry.pulse(clock())
        other.enter_stage("next")
        eventually(lambda: len(barrier.data) > 1)
        tracker.complete("two")
        other.complete()
    assert [row.get("message") for row in stream.data] == ["one", "two", None]


def test_s1_04_34_lines_are_fields_comments_or_empty(registry: ProgressRegistry, client: httpx2.Client) -> None:
    """The seed's own parser reads lines: `event:`, then one line of `data:` with JSON; others it skips."""
    registry.create_tracker("abc12345").complete("two\nlines\r\nof it")
    lines = client.get(stream_of("abc12345")).text.split("\n")
    assert lines[0] == "retry: 3000"
    pairs = [(line, lines[index + 1]) for index, line in enumerate(lines) if line.startswith("event:")]
    assert [first for first, _ in pairs] == ["event: progress", "event: done"]
    assert all(data.startswith('data: {"') and data.endswith("}") for _, data in pairs)
    assert all(line == "" or line.startswith((":", "retry:", "event:", "data:")) for line in lines)


@pytest.mark.parametrize(("status", "reason"), [(Status.FAILED, None), (Status.LOST, "process gone")])
def test_s1_07_what_has_failed_ends_with_error(
    registry: ProgressRegistry, client: httpx2.Client, status: Status, reason: str | None
) -> None:
    registry.end(registry.create_tracker("abc12345").state, status, reason)
    with following(client, stream_of("abc12345")) as stream:
        assert stream.over.wait(10)
    assert stream.events == ["error"]
    assert stream.data == [{"error": reason or "failed"}]


def test_what_is_cancelled_is_done_and_says_so(registry: ProgressRegistry, client: httpx2.Client) -> None:
    """Ruling C7."""
    registry.create_tracker("abc12345").cancel("not needed")
    with following(client, stream_of("abc12345")) as stream:
        assert stream.over.wait(10)
    assert stream.events == ["progress", "done"]
    assert stream.data[-1] == {"status": "cancelled"}


def test_s1_03_an_unknown_id_is_a_404_and_no_stream(client: httpx2.Client) -> None:
    answer = client.get(stream_of("nobody"))
    assert (answer.status_code, answer.json()) == (404, {"detail": "Operation not found"})


def test_a_strangers_operation_is_a_404(registry: ProgressRegistry, serving: Serving) -> None:
    registry.create_tracker("abc12345").state.principal = "bob"
    with serving(registry, token="read@ann:secret") as client:
        assert client.get(stream_of("abc12345"), params={"token": "secret"}).status_code == 404


def test_s1_10_11_12_27_29_the_fields_of_progress(registry: ProgressRegistry, clock: FakeClock) -> None:
    tracker = registry.create_tracker(total_steps=4)
    tracker.update(1, "Processing step 1/4")
    clock.advance(10.5)
    tracker.update(3, "Processing step 3/4")
    data = progress_data(tracker.get_progress_details())
    assert len(UUID(data.pop("operation_id")).hex) == 32
    remaining = data.pop("estimated_remaining")
    assert remaining == pytest.approx(3.5, rel=0.5)
    assert data == {
        "status": "running",
        "progress": 75.0,
        "message": "Processing step 3/4",
        "started_at": "2023-11-14T22:13:20.000Z",
        "updated_at": "2023-11-14T22:13:30.500Z",
        "elapsed_seconds": 10.5,
        "output": None,
    }


def test_s1_29_remaining_time_and_progress_of_which_nothing_is_known(registry: ProgressRegistry) -> None:
    """The progress is a number for the seed's clients, who print it with `:.0f`."""
    data = progress_data(registry.create_tracker().get_progress_details())
    assert (data["progress"], data["estimated_remaining"], data["status"]) == (0.0, None, "running")


def test_s1_23_thirds_round_to_whole_percent(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker(total_steps=3)
    shown = []
    for step in (1, 2, 3):
        tracker.update(step, "on")
        shown.append(f"{progress_data(tracker.get_progress_details())['progress']:.0f}%")
    assert shown == ["33%", "67%", "100%"]


def test_s1_25_a_failed_one_has_an_error_and_the_result_is_the_output(registry: ProgressRegistry) -> None:
    failed, done = registry.create_tracker("broken"), registry.create_tracker("done")
    failed.fail(ValueError("no data"))
    done.complete("Completed", result={"rows": 3})
    assert progress_data(failed.get_progress_details())["error"] == "no data"
    data = progress_data(done.get_progress_details())
    assert (data["output"], "error" in data) == ({"rows": 3}, False)


def test_the_envelope_says_how_the_call_went_and_not_the_task() -> None:
    """Ruling C2."""
    assert success({"status": "failed"}) == {"status": "success", "data": {"status": "failed"}}
    assert failure("no such task") == {"status": "error", "error": "no such task"}


def test_a_message_that_looks_like_a_frame_stays_data(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    tracker.update(message="x\n\nevent: done\ndata: {}")
    (frame,) = frames(tracker.get_progress_details())
    assert frame.count(b"\n\n") == 1 and b"\nevent: done" not in frame
