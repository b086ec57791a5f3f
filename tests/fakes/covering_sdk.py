"""An SDK that is built on OpenAI's, as several are: it tries one model after another, also in mid-stream.

Its streams are classes of its own, which turn the errors of the SDK below into one of theirs. Its table is below.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

from midspan_instrumentation.provider import Provider, Request, Runner, Server, Target
from midspan_instrumentation.providers import _chat_completions, _chat_content
from tests.fakes.sdk import MESSAGES


class NobodyAnswers(Exception):  # noqa: N818 - SDKs name theirs so
    """All models have failed."""


class Stream:
    """The chunks of the first model that answers; those of the next one, where it falls silent."""

    def __init__(self, parts: Iterator[Any]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._parts)
        except openai.APIError as error:
            raise NobodyAnswers(str(error)) from error

    def close(self) -> None:
        """No more is wanted."""
        self._parts.close()  # type: ignore[attr-defined]


class AsyncStream:
    """The same of the async kind."""

    def __init__(self, parts: AsyncIterator[Any]) -> None:
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._parts)
        except openai.APIError as error:
            raise NobodyAnswers(str(error)) from error

    async def aclose(self) -> None:
        """No more is wanted."""
        await self._parts.aclose()  # type: ignore[attr-defined]


def ask(models: str, *, client: openai.OpenAI, stream: bool = False, inside: bool = False) -> Any:
    """Asks the models, which are divided by commas, in order."""
    if not stream:
        return _first_answer(models, client)

    class Inside(Stream):
        """Made anew for each call."""

    return (Inside if inside else Stream)(_parts(models, client))


async def aask(models: str, *, client: openai.AsyncOpenAI, stream: bool = False) -> Any:
    """The same of the async kind."""
    if stream:
        return AsyncStream(_aparts(models, client))
    return await client.chat.completions.create(model=models, messages=MESSAGES)


def ask_in_a_thread(models: str, *, client: openai.OpenAI) -> Any:
    """Asks in a loop of another thread."""

    async def run() -> Any:
        return _first_answer(models, client)

    return run_in_a_thread(run)


def run_in_a_thread(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs it without the caller's context."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(function())).result()


def _first_answer(models: str, client: openai.OpenAI) -> Any:
    for model in models.split(","):
        try:
            return client.chat.completions.create(model=model, messages=MESSAGES)
        except openai.APIError as error:
            last = error
    raise NobodyAnswers(str(last)) from last


def _parts(models: str, client: openai.OpenAI) -> Iterator[Any]:
    *others, final = models.split(",")
    for model in others:
        try:
            yield from client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
        except Exception:
            continue  # with the next one
        return
    yield from client.chat.completions.create(model=final, messages=MESSAGES, stream=True)


async def _aparts(models: str, client: openai.AsyncOpenAI) -> AsyncIterator[Any]:
    async with await client.chat.completions.create(model=models, messages=MESSAGES, stream=True) as stream:
        async for chunk in stream:
            yield chunk


def _read_request(models: str, *, stream: bool = False, **_rest: object) -> Request:
    return Request(model=models, stream=stream, server=Server("model.example", 443, provider="theirs"))


def _target(function: str, is_async: bool = False) -> Target:
    return Target(
        module=__name__,
        qualname=function,
        operation="chat",
        read_request=_read_request,
        read_response=_chat_completions.read_completion,
        read_chunk=_chat_completions.read_chunk,
        read_pieces=_chat_content.read_pieces,
        is_async=is_async,
    )


PROVIDER = Provider(
    "covering",
    (_target("ask"), _target("ask_in_a_thread"), _target("aask", is_async=True)),
    covers_others=True,
    runners=(Runner(__name__, "run_in_a_thread"),),
)
