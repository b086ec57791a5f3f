"""What a test does without the program that it needs."""

from __future__ import annotations

import pytest

from tests.programs import program


def test_without_its_program_a_test_is_skipped_with_a_reason_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="promtool is not installed"):
        program("promtool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="promtool is not installed, and CI must not do without"):
        program("promtool")
