"""Pydantic AI, with OpenAI's SDK below."""

from __future__ import annotations

import asyncio

import pydantic
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from midspan.core.operation import Status
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.frameworks.conftest import CALL, Both, told


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake server are."""

    answer: str


def provider(server: FakeOpenAI) -> OpenAIProvider:
    return OpenAIProvider(base_url=server.base_url, api_key="x")


def agent(server: FakeOpenAI, model: str = "ok") -> Agent[None, str]:
    return Agent(OpenAIChatModel(model, provider=provider(server)))


def test_a_run_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    operations = both(lambda: agent(server).run_sync("Does it work?").output)
    assert [told(each) for each in operations] == [CALL]


def test_a_run_over_responses_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    def run() -> str:
        return Agent(OpenAIResponsesModel("ok", provider=provider(server))).run_sync("Does it work?").output

    assert [told(each) for each in both(run)] == [CALL]


def test_a_structured_output_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    def run() -> object:
        asked = Agent(OpenAIChatModel("ok", provider=provider(server)), output_type=NativeOutput(Answer))
        return asked.run_sync("Does it work?").output.model_dump()

    assert [told(each) for each in both(run)] == [CALL]


def test_the_tokens_of_a_streamed_run_are_seen(server: FakeOpenAI, both: Both) -> None:
    async def run() -> list[str]:
        async with agent(server).run_stream("Does it work?") as result:
            return [text async for text in result.stream_text(delta=True, debounce_by=None)]

    (operation,) = both(lambda: asyncio.run(run()))
    assert told(operation) == CALL
    assert (operation.chunks or 0) >= len(CONTENT)


def test_an_error_is_the_frameworks_own_and_fails_the_operation(server: FakeOpenAI, both: Both) -> None:
    (operation,) = both(lambda: agent(server, "refused").run_sync("Does it work?"))
    assert operation.status is Status.FAILED
