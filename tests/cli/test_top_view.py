from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from midspan.cli.choosing import Choosing
from midspan.cli.row import Cancel, Row
from midspan.cli.top_view import Shown, screen
from tests.cli.conftest import NOW, failed, row

WHOLE: dict[str, Any] = {
    "operation_id": "0123456789abcdef",
    "created_at": "2026-11-21T09:59:58.000Z",
    "attempt": 2,
    "completed": 4096.0,
    "total": 10_000.0,
    "unit": "By",
    "progress_source": "counts",
    "estimate": {"low": 2.0, "high": 5.0, "method": "counts"},
    "provider": "openai",
    "metadata": {"user": "[red]somebody"},
    "trace_url": "http://traces/1",
    "history": [
        {"type": "start", "at": "2026-11-21T09:59:58.000Z", "stage": None, "progress": None, "message": None},
        {"type": "stage", "at": "2026-11-21T09:59:59.500Z", "stage": "thinking", "progress": 0.1, "message": "hm"},
    ],
}


def drawn(rows: Sequence[Row], keys: str = "", height: int = 24, width: int = 100, **more: Any) -> list[str]:
    """The lines of the screen after `keys`, one character each; `\r` is enter."""
    choosing = Choosing()
    choosing.show(rows)
    for key in keys:
        choosing.press("enter" if key == "\r" else key)
        choosing.show(rows)
    console = Console(file=StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(screen(Shown("http://here", rows, choosing, **more), NOW, console))
    return [line.rstrip() for line in capture.get().split("\n")][:-1]


def test_the_head_counts_and_names_the_filters() -> None:
    rows = [row(operation_id="a", stalled=True), row(operation_id="b"), failed(operation_id="c")]
    assert drawn(rows)[0] == "midspan http://here · 2 running · 1 stalled · 1 ended"
    assert drawn(rows, "s/chat\r")[0].endswith("status: running · filter: chat")
    assert " 8 ended" in drawn(rows, forgotten=7)[0]


@pytest.mark.parametrize("height", [5, 10, 24, 50])
@pytest.mark.parametrize("keys", ["", "?", "\r", "/", "\rc"])
def test_the_screen_is_as_high_as_the_terminal_whatever_is_shown(height: int, keys: str) -> None:
    rows = [row(operation_id=f"{number}", cancel=Cancel("native")) for number in range(60)]
    for given in ([], rows[:1], rows):
        for width in (30, 100):
            assert len(drawn(given, keys, height, width, whole=WHOLE)) == height


def test_the_selected_operation_is_always_on_the_screen() -> None:
    rows = [row(operation_id=f"{number}", name=f"job-{number:02}") for number in range(60)]
    for steps in (0, 5, 30, 59):
        assert any(f"job-{steps:02} " in line for line in drawn(rows, "j" * steps, 12))


def test_the_last_line_has_the_keys_the_question_or_what_is_wrong() -> None:
    rows = [row(cancel=Cancel("native"))]
    assert drawn(rows)[-1].startswith("enter detail")
    assert drawn(rows, "/abc")[-1] == "/abc_"
    assert drawn(rows, "c")[-1] == "ask chat tiny to stop? y/n"
    assert drawn(rows, "cn")[-1] == "not cancelled"
    assert drawn(rows, trouble="the server is gone")[-1] == "the server is gone"


def test_an_empty_screen_says_why() -> None:
    assert "no operations yet" in "".join(drawn([]))
    assert "nothing is like that" in "".join(drawn([row()], "/zzz"))


def test_one_operation_has_its_figures_and_its_history() -> None:
    said = "\n".join(drawn([row()], "\r", whole=WHOLE))
    for part in (
        "chat tiny",
        "running (streaming_response)",
        "42 %  4,096 of 10,000 By  from counts",
        "~1,234 tokens  42/s",
        "3.0 s  (2.0 s to 5.0 s, from counts)",
        "openai",
        "[red]somebody",
        "http://traces/1",
        "1.5 s  stage  thinking  10 %  hm",
    ):
        assert part in said


def test_the_error_of_a_failed_operation_is_told() -> None:
    assert "openai.BadRequestError: too long" in "\n".join(drawn([failed()], "\r", whole=WHOLE))


def test_what_was_loaded_of_another_operation_is_not_shown() -> None:
    assert "somebody" not in "\n".join(drawn([row(operation_id="another")], "\r", whole=WHOLE))
