from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console

from midspan.cli.live import last_view, table, view
from midspan.cli.row import Row
from tests.cli.conftest import NOW, failed, row


def drawn(rows: Sequence[Row], output: Sequence[str] = (), height: int = 24, width: int = 100) -> list[str]:
    """The lines of the whole view on a terminal of that size."""
    console = Console(file=StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(view(rows, NOW, output=output, where="the app", console=console))
    return capture.get().rstrip("\n").split("\n")


def line_of(lines: Sequence[str], part: str) -> str:
    [found] = [line for line in lines if part in line]
    return found


def test_a_running_operation_has_all_its_figures_on_one_line() -> None:
    line = line_of(drawn([row()]), "chat tiny")
    for figure in ("streaming_response", "~1,234", "42/s", "2.0 s", "42 %", "3.0 s"):
        assert figure in line


def test_a_failed_operation_shows_the_short_name_of_its_error() -> None:
    assert "BadRequestError" in line_of(drawn([failed()]), "failed")


def test_a_long_error_leaves_the_other_columns_their_room() -> None:
    lines = drawn([row(), failed(operation_id="b")])
    assert "streaming_response" in line_of(lines, "42/s")


def test_a_narrow_screen_leaves_the_rate_out_and_keeps_the_rest() -> None:
    line = line_of(drawn([row()], width=80), "chat tiny")
    assert "42/s" not in line
    for figure in ("streaming_response", "~1,234", "2.0 s", "42 %", "3.0 s"):
        assert figure in line


def test_unknown_progress_is_no_number() -> None:
    line = line_of(drawn([row(progress=None, estimated_remaining_seconds=None)]), "chat tiny")
    assert "%" not in line


def test_the_end_of_the_output_is_shown_and_its_beginning_is_not() -> None:
    lines = drawn([row()], [f"line {number}" for number in range(100)])
    assert line_of(lines, "line 99") and not [line for line in lines if "line 10 " in line]


def test_the_view_never_gets_higher_than_the_screen() -> None:
    """Whatever there is: many operations, and output whose lines are far longer than the screen is wide."""
    rows = [row(operation_id=str(number)) for number in range(50)]
    output = ["word " * 100] * 50
    for height in (12, 24, 40):
        for count in (0, 1, 50):
            assert len(drawn(rows[:count], output, height)) <= height


def test_running_operations_are_kept_when_there_are_too_many() -> None:
    ended = [row(operation_id=f"e{number}", status="completed") for number in range(50)]
    lines = drawn([row(name="still"), *ended])
    assert line_of(lines, "still tiny") and line_of(lines, "more that have ended or wait")


def test_markup_in_names_and_output_is_text() -> None:
    lines = drawn([row(name="[red]chat")], ["[bold]said[/]"])
    assert line_of(lines, "[red]chat") and line_of(lines, "[bold]said[/]")


def test_an_empty_table_can_be_drawn() -> None:
    console = Console(file=StringIO(), width=80)
    with console.capture() as capture:
        console.print(table([], NOW, 80))
    assert "operation" in capture.get()


def test_what_stays_on_the_screen_at_the_end_fits_on_it() -> None:
    rows = [row(operation_id=str(number), name=f"call-{number}", status="completed") for number in range(100)]
    console = Console(file=StringIO(), width=100, height=12, force_terminal=False)
    with console.capture() as capture:
        console.print(last_view(rows, NOW, console))
    lines = capture.get().rstrip().split("\n")
    assert len(lines) == 12
    assert lines[-1].strip() == "and 93 more" and any("call-99" in line for line in lines)
