from __future__ import annotations

from midspan.cli.board import Forgotten
from midspan.cli.row import TokenCounts
from midspan.cli.summary import summary
from tests.cli.conftest import failed, row

DONE = row(status="completed", elapsed_seconds=4.0, tokens=TokenCounts(output=200))


def test_counts_by_status_come_first_in_a_fixed_order() -> None:
    rows = [failed(), DONE, row(status="cancelled"), DONE, row(status="lost")]
    assert next(summary(rows)) == "5 operations: 2 completed, 1 failed, 1 cancelled, 1 lost"


def test_the_slowest_is_named_with_its_figures() -> None:
    assert "slowest: chat tiny 4.0 s, completed (200 tokens, 42/s)" in list(summary([failed(), DONE]))


def test_each_failure_is_told_with_its_error() -> None:
    assert list(summary([failed(), DONE]))[-1] == "failed: chat tiny after 1.9 s: openai.BadRequestError: too long"


def test_a_failure_is_told_with_the_address_of_its_trace() -> None:
    told = list(summary([failed(trace_id="0af7"), DONE], "https://traces.example/{trace_id}"))
    assert told[-1] == "  trace: https://traces.example/0af7"
    assert told == [*summary([failed(trace_id="0af7"), DONE]), told[-1]]


def test_a_lost_operation_is_told_with_its_reason() -> None:
    told = list(summary([row(status="lost", status_reason="the process ended")]))
    assert told[-1] == "lost: chat tiny after 1.9 s: the process ended"


def test_what_is_no_longer_kept_is_counted_and_may_be_the_slowest() -> None:
    forgotten = Forgotten()
    for each in (row(status="completed", elapsed_seconds=60.0), failed()):
        forgotten.add(each)
    assert list(summary([DONE], None, forgotten)) == [
        "3 operations: 2 completed, 1 failed",
        "slowest: chat tiny 1 min 00 s, completed (~1,234 tokens, 42/s)",
        "and 1 more that failed or were lost",
    ]


def test_of_many_failures_the_first_fifty_are_told() -> None:
    told = list(summary([failed()] * 70))
    assert (len(told), told[-1]) == (53, "and 20 more that failed or were lost")


def test_nothing_seen_is_said() -> None:
    assert list(summary([])) == ["no operations were seen"]
