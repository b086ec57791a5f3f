"""What a server tells of the prompt that it is reading: progress before the first chunk, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan_instrumentation.provider import Processed
from midspan_instrumentation.providers._chat_completions import read_processed
from tests.fakes.openai_calls import MESSAGES
from tests.fakes.openai_server import CONTENT, USAGE
from tests.instrumentation.conftest import MakeAsync

ASKED: dict[str, Any] = {"model": "ok", "messages": MESSAGES, "stream": True, "extra_body": {"return_progress": True}}
TOLD = [(0.0, 0.0), (4 / USAGE["input"], 1 / USAGE["input"]), (1.0, 0.25)]


def telling(operation: Operation) -> tuple[float | None, float | None]:
    assert (operation.stage, operation.chunks, operation.time_to_first_chunk) == ("waiting_first_chunk", None, None)
    return operation.stage_progress, operation.progress


def check(seen: Captured, told: list[tuple[float | None, float | None]]) -> None:
    assert told == [pytest.approx(each) for each in TOLD]
    (operation,) = seen.operations
    assert (operation.status, operation.chunks, operation.stage_progress) == ("completed", 5, None)
    assert operation.stages_completed.count("waiting_first_chunk") == 1


def test_a_prompts_progress_is_seen_before_the_first_chunk_and_is_no_chunk(
    client: openai.OpenAI, seen: Captured
) -> None:
    stream = iter(client.chat.completions.create(**ASKED))
    told = []
    for _ in TOLD:
        next(stream)
        told.append(telling(seen.operations[0]))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "".join(CONTENT)
    check(seen, told)


def test_the_same_of_an_async_stream(make_async: MakeAsync, seen: Captured) -> None:
    async def read() -> list[tuple[float | None, float | None]]:
        async with make_async() as client:
            stream = aiter(await client.chat.completions.create(**ASKED))
            told = []
            for _ in TOLD:
                await anext(stream)
                told.append(telling(seen.operations[0]))
            async for _ in stream:
                pass
        return told

    check(seen, asyncio.run(read()))


@pytest.mark.parametrize("told", [None, {}, {"processed": 3}, {"processed": "3", "total": 4}, {"processed": None}, 7])
def test_odd_telling_is_no_telling(told: object) -> None:
    assert read_processed({"prompt_progress": told}) is None


def test_what_is_processed_is_read_of_a_mapping_too() -> None:
    assert read_processed({"prompt_progress": {"processed": 3, "total": 4}}) == Processed(3, 4)
