"""Instructor: structured outputs, asked for again until they fit."""

from __future__ import annotations

import asyncio
from typing import Any

import instructor
import openai
import pydantic

from midspan.core.operation import Status
from tests.fakes.openai_server import FakeOpenAI
from tests.frameworks.conftest import CALL, Both, told

MESSAGES: Any = [{"role": "user", "content": "Does it work?"}]


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake server are."""

    answer: str


class Other(pydantic.BaseModel):
    """What they are not."""

    number: int


def client(server: FakeOpenAI) -> Any:
    made = openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0)
    return instructor.from_openai(made, mode=instructor.Mode.JSON_SCHEMA)


def test_a_structured_output_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    def ask() -> object:
        return client(server).create(model="ok", messages=MESSAGES, response_model=Answer).model_dump()

    assert [told(each) for each in both(ask)] == [CALL]


def test_each_question_that_is_asked_again_is_an_operation(server: FakeOpenAI, both: Both) -> None:
    def ask() -> object:
        return client(server).create(model="ok", messages=MESSAGES, response_model=Other, max_retries=2)

    operations = both(ask)
    assert len(operations) >= 2
    assert {told(each) for each in operations} == {CALL}


def test_the_tokens_of_a_partial_output_are_seen(server: FakeOpenAI, both: Both) -> None:
    def ask() -> object:
        parts = client(server).create_partial(model="ok", messages=MESSAGES, response_model=Answer)
        return [part.model_dump() for part in parts]

    (operation,) = both(ask)
    assert operation.status is Status.COMPLETED
    assert (operation.chunks or 0) > 0


def test_an_async_client_and_its_error_are_seen(server: FakeOpenAI, both: Both) -> None:
    async def ask() -> object:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as made:
            own: Any = instructor.from_openai(made, mode=instructor.Mode.JSON_SCHEMA)
            answer = await own.create(model="ok", messages=MESSAGES, response_model=Answer)
            try:
                await own.create(model="refused", messages=MESSAGES, response_model=Answer, max_retries=0)
            except Exception as error:
                return answer.model_dump(), type(error)
        return None

    completed, failed = both(lambda: asyncio.run(ask()))
    assert told(completed) == CALL
    assert failed.status is Status.FAILED
