"""What requests ask for, read strictly."""

from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from midspan.server.problem import Problem
from midspan.server.query import duration, moment, one_of, several, whole


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("2d", 172_800)])
def test_a_duration_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert duration(QueryParams({"window": text}), "window") == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "0.5", "1\n", "-1", "1w", "1 h", "h", "inf", "nan", "1e3", "٣", "9" * 30]
)
def test_what_is_no_duration_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(Problem) as caught:
        duration(QueryParams({"window": text}), "window")
    assert (caught.value.status, caught.value.members["parameter"]) == (400, "window")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14t22:13:20.250z", 1_700_000_000.25),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000.0),
    ],
)
def test_a_time_has_its_zone(text: str, at: float) -> None:
    assert moment(QueryParams({"updated_since": text}), "updated_since") == at


@pytest.mark.parametrize(
    "text",
    ["", "now", "1700000000", "2023-11-14", "2023-11-14T22:13:20", "2023-11-15T00:13:20 02:00", "2023-13-01T00Z"],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Problem) as caught:
        moment(QueryParams({"updated_since": text}), "updated_since")
    assert (caught.value.status, caught.value.members["parameter"]) == (400, "updated_since")


def test_what_is_not_given_is_unknown() -> None:
    nothing = QueryParams()
    found = [moment(nothing, "a"), duration(nothing, "a"), whole(nothing, "a"), several(nothing, "a")]
    assert found == [None] * 4
    assert one_of(nothing, "a", ("x", "y"), "y") == "y"


def test_several_values_may_be_repeated_and_have_commas() -> None:
    assert several(QueryParams("type=a,b&type=%20c"), "type") == {"a", "b", "c"}


@pytest.mark.parametrize("text", ["-1", "61", "1.0", "", "x", "9" * 30])
def test_a_number_out_of_its_range_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        whole(QueryParams({"wait": text}), "wait", 0, 60)
    assert (caught.value.status, caught.value.members["parameter"]) == (400, "wait")
