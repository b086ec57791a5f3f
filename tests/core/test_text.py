"""What may come in from outside as text."""

from __future__ import annotations

import pytest

from midspan.core.text import check_id, clean, clean_value, merge_metadata


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain", "plain"),
        ("分析中 ✓", "分析中 ✓"),
        ("two\nlines\tand\rmore", "two lines and more"),
        ("red \x1b[31m", "red  [31m"),
        ("a\u2028b\u2029c", "a b c"),
        ("evil\u202etxt.exe", "evil txt.exe"),
        ("\u2066iso\u2069late", " iso late"),
        ("nul\x00", "nul "),
        ("mark\u061cof", "mark of"),
        ("half a \ud83d pair", "half a   pair"),
    ],
)
def test_control_and_bidirectional_characters_are_taken_out(given: str, wanted: str) -> None:
    assert clean(given) == wanted


def test_long_text_is_cut_visibly() -> None:
    assert clean("x" * 513) == "x" * 511 + "…"
    assert clean("x" * 512) == "x" * 512


@pytest.mark.parametrize("value", [None, True, 3, 1.5])
def test_numbers_and_booleans_stay_what_they_are(value: object) -> None:
    assert clean_value(value) is value


def test_other_values_become_short_text() -> None:
    assert clean_value([1, 2]) == "[1, 2]"
    assert len(clean_value("x" * 1000)) == 256


def test_metadata_has_at_most_32_keys_and_known_ones_change() -> None:
    metadata: dict[str, object] = {}
    assert merge_metadata(metadata, {f"k{number}": number for number in range(40)}) == 8
    assert merge_metadata(metadata, {"k0": "new", "k50": 1}) == 1
    assert (len(metadata), metadata["k0"]) == (32, "new")


@pytest.mark.parametrize("operation_id", ["a", "A.b_c:d-9", "0" * 128])
def test_good_ids_are_taken(operation_id: str) -> None:
    assert check_id(operation_id) == operation_id


@pytest.mark.parametrize("operation_id", ["", "a b", ".a", "a\n", "a/b", "<a>", "0" * 129, "operations", "ws"])
def test_ids_that_no_path_can_carry_raise(operation_id: str) -> None:
    with pytest.raises(ValueError, match="operation_id"):
        check_id(operation_id)
