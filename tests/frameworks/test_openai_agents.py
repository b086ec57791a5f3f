"""OpenAI's Agents SDK, over chat completions and over responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, set_tracing_disabled

from midspan.core.operation import Status
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.frameworks.conftest import CALL, Both, told

# It would send traces of its own to OpenAI.
set_tracing_disabled(True)

MODELS = (OpenAIChatCompletionsModel, OpenAIResponsesModel)


def running(
    server: FakeOpenAI, run: Callable[[Agent[Any]], Awaitable[Any]], kind: Any = MODELS[0], model: str = "ok"
) -> Callable[[], object]:
    """Runs an agent on a client of its own."""

    async def main() -> object:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            return await run(Agent(name="Worker", model=kind(model, client)))

    return lambda: asyncio.run(main())


async def whole(agent: Agent[Any]) -> str:
    return (await Runner.run(agent, "Does it work?")).final_output


async def streamed(agent: Agent[Any]) -> list[str]:
    result = Runner.run_streamed(agent, "Does it work?")
    return [event.type async for event in result.stream_events()]


def test_a_run_is_one_operation_over_either_protocol(server: FakeOpenAI, both: Both) -> None:
    for kind in MODELS:
        assert [told(each) for each in both(running(server, whole, kind))] == [CALL]


def test_the_tokens_of_a_streamed_run_are_seen_over_either_protocol(server: FakeOpenAI, both: Both) -> None:
    for kind in MODELS:
        (operation,) = both(running(server, streamed, kind))
        assert told(operation) == CALL
        assert (operation.chunks or 0) >= len(CONTENT)


def test_an_error_is_the_frameworks_own_and_fails_the_operation(server: FakeOpenAI, both: Both) -> None:
    (operation,) = both(running(server, whole, model="refused"))
    assert operation.status is Status.FAILED
