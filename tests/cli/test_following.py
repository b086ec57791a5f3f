"""The stream of a real server, followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from midspan.cli import following
from midspan.cli.following import Follower, check, reason
from midspan.cli.row import Row
from midspan.client.connection import Api, ApiError
from midspan.tracking.tracker import ProgressTracker
from tests.cli.served import Served
from tests.programs import free_port

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.stop()


@pytest.fixture
def changes() -> list[Row | None]:
    return []


@pytest.fixture
def follower(served: Served, changes: list[Row | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    monkeypatch.setattr(following, "AGAIN_SECONDS", 0.05)
    made = Follower(Api(served.url), changes.append)
    yield made
    made.stop()
    if made.is_alive():
        made.join(10)
        assert not made.is_alive()


def statuses(follower: Follower) -> dict[str, str]:
    return {row.operation_id: row.status for row in follower.rows}


def started(served: Served, operation_id: str) -> ProgressTracker:
    tracker = served.registry.create_tracker(operation_id)
    tracker.start()
    return tracker


def test_what_is_there_and_what_comes_is_kept(served: Served, follower: Follower, eventually: Eventually) -> None:
    first = started(served, "first")
    follower.start()
    eventually(lambda: statuses(follower) == {"first": "running"})
    started(served, "second")
    first.complete()
    eventually(lambda: statuses(follower) == {"first": "completed", "second": "running"})


def test_an_ending_is_told_once_even_if_the_stream_begins_anew(
    served: Served, follower: Follower, changes: list[Row | None], eventually: Eventually
) -> None:
    tracker = started(served, "a")
    follower.start()
    eventually(lambda: changes)
    tracker.complete()
    eventually(lambda: len(changes) == 2)
    follower._last_id = None
    follower._stream.leave()
    eventually(lambda: changes.count(None) == 2)
    started(served, "b")
    eventually(lambda: statuses(follower).get("b") == "running")
    # A reader may also have seen one before it was started.
    assert [(row.operation_id, row.status) for row in changes if row and row.status != "pending"] == [
        ("a", "running"),
        ("a", "completed"),
        ("b", "running"),
    ]


def test_a_server_that_comes_back_is_followed_again_and_its_operations_replace_the_old_ones(
    served: Served, follower: Follower, eventually: Eventually
) -> None:
    started(served, "old")
    follower.start()
    eventually(lambda: follower.rows)
    served.stop()
    eventually(lambda: follower.trouble is not None and "gone" in follower.trouble)
    assert statuses(follower) == {"old": "running"}
    served.again()
    started(served, "new")
    eventually(lambda: statuses(follower) == {"new": "running"})
    assert follower.trouble is None


def test_a_snapshot_in_several_parts_is_whole(served: Served, follower: Follower, eventually: Eventually) -> None:
    for number in range(300):
        started(served, f"operation-{number}")
    follower.start()
    eventually(lambda: len(follower.rows) == 300)


def test_ended_operations_make_room_and_are_counted(
    served: Served, follower: Follower, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MAX_ROWS", 3)
    started(served, "runs")
    follower.start()
    eventually(lambda: follower.rows)
    for number in range(5):
        started(served, f"{number}").complete()
        eventually(lambda: str(number) in statuses(follower))  # noqa: B023 - called at once
    assert list(statuses(follower)) == ["runs", "3", "4"] and follower.forgotten == 3


def test_a_wanted_token_and_another_server_are_told_apart() -> None:
    served = Served(token="secret")
    try:
        with pytest.raises(ApiError) as refused:
            check(Api(served.url))
        assert "set MIDSPAN_TOKEN" in reason(refused.value)
        check(Api(served.url, token="secret"))
    finally:
        served.stop()
    with pytest.raises(OSError, match="refused"):
        check(Api(f"http://127.0.0.1:{free_port()}", timeout=5))
