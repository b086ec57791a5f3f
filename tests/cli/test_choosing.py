from __future__ import annotations

from datetime import timedelta

import pytest

from midspan.cli.choosing import Ask, Choosing
from midspan.cli.row import Cancel, Row
from tests.cli.conftest import NOW, failed, row

ROWS = [
    row(operation_id="old", name="embed", created_at=NOW - timedelta(seconds=9), cancel=Cancel("cooperative")),
    row(operation_id="new", name="chat", stalled=True),
    failed(operation_id="done", name="Batch", created_at=NOW),
]


def pressed(*keys: str, rows: list[Row] = ROWS) -> tuple[Choosing, list[Ask]]:
    """What is chosen after these keys, each drawn before the next, and what was asked."""
    choosing, asked = Choosing(), list[Ask]()
    choosing.show(rows)
    for key in keys:
        ask = choosing.press(key)
        asked += [ask] if ask else []
        choosing.show(rows)
    return choosing, asked


def ids(choosing: Choosing) -> list[str]:
    return [each.operation_id for each in choosing.shown]


def test_running_operations_come_first_and_the_newest_of_them_is_selected() -> None:
    choosing, _ = pressed()
    assert ids(choosing) == ["new", "old", "done"] and choosing.selected == "new"


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        (["down"], "old"),
        (["j", "j"], "done"),
        (["down"] * 9, "done"),
        (["end", "k"], "old"),
        (["page down"], "done"),
        (["end", "home"], "new"),
        (["up"], "new"),
    ],
)
def test_the_selection_moves_and_stays_inside(keys: list[str], selected: str) -> None:
    assert pressed(*keys)[0].selected == selected


@pytest.mark.parametrize(
    ("text", "left"), [("embed", ["old"]), ("BATCH tiny", ["done"]), ("stalled", ["new"]), ("none of it", [])]
)
def test_a_filter_leaves_what_has_the_text_in_it(text: str, left: list[str]) -> None:
    choosing, _ = pressed("/", *text, "enter")
    assert ids(choosing) == left and choosing.mode == "list"
    assert choosing.selected == (left[0] if left else None)


def test_in_the_filter_letters_are_text_and_escape_takes_it_away() -> None:
    assert pressed("/", "q", "s", "backspace")[0].text == "q"
    choosing, _ = pressed("/", "q", "escape")
    assert not choosing.leaving and choosing.text == "" and choosing.mode == "list"


def test_the_status_filter_goes_around() -> None:
    assert ids(pressed("s")[0]) == ["new", "old"]
    assert ids(pressed("s", "s")[0]) == ["new"]
    assert ids(pressed(*"ssss")[0]) == ["done"]
    assert pressed(*"sssssss")[0].status is None


def test_enter_shows_one_operation_and_escape_and_q_lead_back() -> None:
    choosing, asked = pressed("down", "enter")
    assert asked == [Ask("show", "old")] and choosing.is_inside
    for key in ("escape", "q"):
        choosing, _ = pressed("enter", key)
        assert choosing.mode == "list" and not choosing.leaving


def test_an_operation_that_is_looked_at_stays_when_the_filter_leaves_it_out() -> None:
    choosing, _ = pressed("s", "enter")
    choosing.show([failed(operation_id="new")])
    assert choosing.selected == "new"


def test_cancelling_asks_first() -> None:
    choosing, asked = pressed("down", "c")
    assert choosing.mode == "confirm" and not asked
    assert pressed("down", "c", "y")[1] == [Ask("cancel", "old")]
    for key in ("n", "escape", "enter", "q"):
        choosing, asked = pressed("down", "c", key)
        assert not asked and choosing.mode == "list" and not choosing.leaving and choosing.note == "not cancelled"


def test_cancelling_from_the_detail_leads_back_to_it() -> None:
    choosing, asked = pressed("down", "enter", "c")
    assert choosing.mode == "confirm" and choosing.is_inside
    choosing, asked = pressed("down", "enter", "c", "y")
    assert choosing.mode == "detail" and asked[-1] == Ask("cancel", "old")


@pytest.mark.parametrize(("keys", "said"), [(["c"], "cannot be cancelled"), (["end", "c"], "ended already")])
def test_what_cannot_be_cancelled_says_why(keys: list[str], said: str) -> None:
    choosing, asked = pressed(*keys)
    assert said in choosing.note and choosing.mode == "list" and not asked


def test_q_leaves_and_help_is_a_key_away() -> None:
    assert pressed("q")[0].leaving
    assert pressed("?")[0].mode == "help" and pressed("?", "c")[0].mode == "help"
    assert pressed("?", "q")[0].mode == "list"


def test_without_operations_no_key_does_harm() -> None:
    for key in ("enter", "c", "down", "s", "end"):
        choosing, asked = pressed(key, rows=[])
        assert not asked and choosing.selected is None and not choosing.is_inside
