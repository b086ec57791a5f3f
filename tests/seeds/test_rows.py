"""Each promise of the seeds has a test that names it; docs/seeds.md says of which a part is missing."""

from __future__ import annotations

import re

from tests.browsing import ROOT

COUNTS = {0: 50, 1: 35, 2: 36, 3: 63, 4: 22}
"""Seed → how many promises it makes."""

NAMED = re.compile(r"def test_s(\d)((?:_\d\d)+)_")
MISSING = re.compile(r"^\| S(\d)-(\d\d) \|", re.MULTILINE)

Row = tuple[int, int]


def all_rows() -> set[Row]:
    return {(seed, number) for seed, count in COUNTS.items() for number in range(1, count + 1)}


def named() -> set[Row]:
    return {
        (int(seed), int(number))
        for path in (ROOT / "tests").rglob("test_*.py")
        for seed, numbers in NAMED.findall(path.read_text(encoding="utf-8"))
        for number in numbers.split("_")[1:]
    }


def missing() -> set[Row]:
    text = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
    return {(int(seed), int(number)) for seed, number in MISSING.findall(text)}


def test_every_promise_is_tested() -> None:
    assert len(all_rows()) == 206
    assert all_rows() - named() == set()


def test_few_promises_are_kept_in_part_only() -> None:
    assert missing() == {(0, 7), (0, 42), (1, 32), (3, 42), (3, 51)}


def test_no_test_names_a_promise_that_there_is_not() -> None:
    assert (named() | missing()) - all_rows() == set()


def test_every_ruling_is_told() -> None:
    text = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (C\d+) \|", text, re.MULTILINE) == [f"C{number}" for number in range(1, 23)]
