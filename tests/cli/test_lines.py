from __future__ import annotations

from datetime import timedelta

from midspan.cli.lines import LinePacer, line
from tests.cli.conftest import NOW, failed, row


def test_a_running_operation_shows_stage_tokens_rate_elapsed_progress_and_remaining() -> None:
    assert line(row(), NOW) == (
        "chat tiny [abcdef] streaming_response · ~1,234 tokens · 42/s · 2.0 s · 42 % · 3.0 s left"
    )


def test_elapsed_goes_on_while_nothing_is_reported() -> None:
    assert "· 62 s ·" not in line(row(), NOW)
    assert "· 1 min 02 s ·" in line(row(), NOW + timedelta(seconds=60))


def test_what_is_unknown_is_left_out() -> None:
    bare = row(model=None, tokens=None, tokens_per_second=None, progress=None, estimated_remaining_seconds=None)
    assert line(bare, NOW) == "chat [abcdef] streaming_response · 2.0 s"


def test_a_failure_shows_its_error_up_to_the_first_line_end() -> None:
    assert line(failed(), NOW).endswith("failed · 1.9 s · openai.BadRequestError: too long")


def test_a_cancelled_operation_shows_its_reason_and_nothing_that_is_left() -> None:
    shown = line(row(status="cancelled", status_reason="task cancelled"), NOW)
    assert shown.endswith("· 1.9 s · task cancelled") and "left" not in shown


def test_a_stalled_operation_says_so() -> None:
    assert "streaming_response (stalled)" in line(row(stalled=True), NOW)


def test_a_new_stage_or_status_is_always_worth_a_line() -> None:
    pacer = LinePacer()
    assert pacer.wants(row(stage="sending_request"), NOW)
    assert pacer.wants(row(), NOW)
    assert pacer.wants(row(status="completed"), NOW)


def test_the_same_stage_is_worth_a_line_once_a_second() -> None:
    pacer = LinePacer()
    wanted = [pacer.wants(row(), NOW + timedelta(seconds=tenths / 10)) for tenths in range(21)]
    assert [tenths for tenths, yes in enumerate(wanted) if yes] == [0, 10, 20]


def test_operations_are_paced_each_on_their_own() -> None:
    pacer = LinePacer()
    assert pacer.wants(row(operation_id="a"), NOW) and pacer.wants(row(operation_id="b"), NOW)
