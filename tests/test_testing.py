"""What midspan offers to users' tests."""

from __future__ import annotations

from midspan.core.operation import Status
from midspan.testing import FakeClock, capture
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker


def test_capture_collects_what_starts_inside_the_block_and_nothing_else() -> None:
    ProgressTracker("before").complete()
    with capture() as captured:
        ProgressTracker("inside").fail("no")
    ProgressTracker("after").complete()
    assert [operation.operation_id for operation in captured.operations] == ["inside"]
    assert len(captured.with_status(Status.FAILED)) == 1


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(start=100.0)
    registry = ProgressRegistry(clock=clock)
    tracker = ProgressTracker("slow", registry=registry)
    tracker.start()
    clock.advance(2.5)
    assert tracker.get_progress_details().elapsed_seconds == 2.5
