"""Tests that run in environments of their own: those that are named, or all, and what is said of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.peers.environments import BuildError
from tests.apart import Apart, main

QUIET = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def unbuilt() -> Path:
    raise BuildError("no such package")


def seen(folder: Path, source: str) -> Apart:
    """A test of its own, run by this Python."""
    file = folder / "test_seen.py"
    file.write_text(source)
    options = ("-p", "no:cacheprovider", "-c", file.with_name("pytest.ini"), "--rootdir", folder)
    file.with_name("pytest.ini").write_text("[pytest]\n")
    return Apart(lambda: Path(sys.executable), (file, *options), {**QUIET, "GIVEN": "1"})


def test_those_that_are_named_are_run_with_the_options_behind_the_dashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    source = "import os\ndef test_chosen(): assert 'OTEL_SDK_DISABLED' not in os.environ and os.environ['GIVEN']\n"
    table = {"here": seen(tmp_path, f"{source}\ndef test_left(): assert False\n"), "other": Apart(unbuilt, ())}

    assert main("place", table, ["here", "--", "-k", "chosen"]) == 0
    told = capfd.readouterr().out
    assert "1 passed" in told and "here: passed (" in told and "other" not in told


def test_one_that_fails_or_cannot_be_built_is_told_and_the_others_run_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = {"never": Apart(unbuilt, ()), "here": seen(tmp_path, "def test_here(): assert False\n")}

    assert main("place", table, []) == 1
    told = capfd.readouterr().out
    assert "never: NOT RUN: its environment cannot be made:\nno such package" in told and "here: FAILED (" in told


def test_an_unknown_name_is_one_line_that_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("place", {"here": Apart(unbuilt, ())}, ["there"]) == 2
    assert capsys.readouterr() == ("", "no such place: there; there are here\n")
