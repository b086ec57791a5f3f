from __future__ import annotations

import msgspec
import pytest

from midspan.cli import board as board_module
from midspan.cli.board import Announcement, Board
from midspan.core.wire import encode
from midspan.tracking.tracker import ProgressRegistry
from tests.cli.conftest import row


def encoded(**changed: object) -> bytes:
    return msgspec.json.encode(row(**changed))


def test_the_newest_state_is_kept_in_the_order_of_appearance() -> None:
    board = Board()
    for operation_id, progress in (("a", 0.1), ("b", 0.1), ("a", 0.9)):
        board.apply(encoded(operation_id=operation_id, progress=progress))
    assert [(each.operation_id, each.progress) for each in board.rows.values()] == [("a", 0.9), ("b", 0.1)]


def test_an_operation_that_has_ended_stays_as_it_was() -> None:
    board = Board()
    board.apply(encoded(status="completed"))
    assert board.apply(encoded()) is None
    assert [each.status for each in board.rows.values()] == ["completed"]


def test_the_announcement_tells_where_the_server_is() -> None:
    board = Board()
    assert board.apply(b'{"server":"http://127.0.0.1:1"}') == Announcement("http://127.0.0.1:1")
    assert board.server == "http://127.0.0.1:1" and not board.rows


def test_half_a_line_is_left_aside_and_counted() -> None:
    board = Board()
    assert board.apply(encoded()[:40]) is None
    assert board.unreadable == 1 and not board.rows


def test_of_too_many_the_oldest_ended_ones_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "MAX_ROWS", 2)
    board = Board()
    board.apply(encoded(operation_id="running"))
    for number, status in enumerate(("completed", "failed", "completed", "cancelled")):
        board.apply(encoded(operation_id=str(number), status=status, elapsed_seconds=10.0 - number))
    assert list(board.rows) == ["running", "3"]
    assert board.forgotten.counts == {"completed": 2, "failed": 1}
    assert board.forgotten.slowest is not None and board.forgotten.slowest.operation_id == "0"


def test_what_still_runs_at_the_end_is_lost() -> None:
    board = Board()
    board.apply(encoded(operation_id="a"))
    board.apply(encoded(operation_id="b", status="failed"))
    assert [each.operation_id for each in board.close()] == ["a"]
    assert [each.status for each in board.rows.values()] == ["lost", "failed"]


def test_a_row_of_the_one_encoder_is_understood(registry: ProgressRegistry) -> None:
    """The feed writes what `core/wire.py` makes of an operation; every field that is drawn must be in it."""
    tracker = registry.create_tracker(operation_type="general", total_steps=4)
    tracker.update(1, "one of four")
    board = Board()
    said = board.apply(encode(tracker.get_progress_details()))
    assert said is not None and not isinstance(said, Announcement)
    assert (said.status, said.progress, said.message) == ("running", 0.25, "one of four")
