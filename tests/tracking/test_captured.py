"""What a decorated function was asked and returns is kept where the application has asked for content."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from midspan.core import failures
from midspan.core.content import NO_CAPTURE, Capture
from midspan.core.operation import Operation
from midspan.testing import capture
from midspan.tracking import run
from midspan.tracking.decorators import progress, track_llm_progress, track_progress
from midspan.tracking.tracker import get_progress_registry


@pytest.fixture
def capturing() -> Iterator[None]:
    registry = get_progress_registry()
    registry.capture = Capture(preview=True)
    yield
    registry.capture = NO_CAPTURE


@track_llm_progress
def answer(prompt: str, model: str = "m") -> dict[str, str]:
    return {"said": str(prompt).upper()}


@track_progress
async def wait() -> str:
    return "waited"


@progress
def work() -> Iterator[dict[str, Any]]:
    yield {"progress": 0.5, "status": "half"}
    return "worked"


def done(*calls: Any) -> list[Operation]:
    with capture() as captured:
        for call in calls:
            call()
        return captured.operations


@pytest.mark.usefixtures("capturing")
def test_results_and_the_prompt_of_an_llm_function_are_kept() -> None:
    operations = done(lambda: answer("hello"), lambda: answer(7), lambda: asyncio.run(wait()), work)  # type: ignore[arg-type]
    assert [each.result for each in operations] == [{"said": "HELLO"}, {"said": "7"}, "waited", "worked"]
    assert [each.content_preview for each in operations] == ["hello", None, None, None]


def test_by_default_neither_is_kept() -> None:
    operations = done(lambda: answer("hello"), lambda: asyncio.run(wait()), work)
    assert [(each.result, each.content_preview) for each in operations] == [(None, None)] * 3
    assert "hello" not in repr(operations)


@pytest.mark.usefixtures("capturing")
def test_a_result_that_cannot_be_kept_still_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(run, "kept_result", fail)
    assert answer("hello") == {"said": "HELLO"}
    assert failures.counts()[run.COMPONENT] == 1
