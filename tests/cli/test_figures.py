from __future__ import annotations

import pytest

from midspan.cli import figures
from midspan.cli.row import TokenCounts
from tests.cli.conftest import row


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations_get_coarser_as_they_get_longer(seconds: float | None, shown: str) -> None:
    assert figures.duration(seconds) == shown


def test_a_count_that_the_server_has_not_told_is_marked() -> None:
    assert figures.tokens(row()) == "~1,234 tokens"
    assert figures.tokens(row(tokens=TokenCounts(output=1))) == "1 token"


def test_chunks_are_shown_where_tokens_are_not_known() -> None:
    assert figures.tokens(row(tokens=None, chunks=7)) == "7 chunks"
    assert figures.tokens(row(tokens=TokenCounts(input=5), chunks=None)) == ""


def test_unknown_is_nothing_and_zero_is_zero() -> None:
    assert figures.percent(None) == figures.rate(row(tokens_per_second=None)) == ""
    assert figures.percent(0.0) == "0 %"
