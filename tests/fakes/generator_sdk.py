"""An SDK as several are: its streams are plain generators, which send the request when their first item is asked for.

It speaks OpenAI's protocol over HTTP, so that the fake server and the shared readers serve it; its table is below.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

from midspan_instrumentation.provider import Provider, Target
from midspan_instrumentation.providers import _chat_completions, _chat_content
from tests.fakes.openai_calls import http

PATH = "/chat/completions"


class Refused(Exception):  # noqa: N818 - SDKs name theirs so
    """The server has refused the request."""


class Client:
    """`chat` streams, and so does `achat`, which is no coroutine function; `ask` does either, `open` after an await."""

    def __init__(self, url: str) -> None:
        self._url = url

    def chat(self, *, model: str, messages: Any, stream: bool = True) -> Iterator[Any]:
        """A generator function."""
        with (
            http.Client(verify=False) as client,
            client.stream("POST", self._url + PATH, json=_body(model, messages, stream)) as response,
        ):
            _check(response)
            yield from (chunk for line in response.iter_lines() for chunk in _chunks(line))

    def ask(self, *, model: str, messages: Any, stream: bool = False) -> Any:
        """A function that returns a generator when it is asked to."""
        if stream:
            return self.chat(model=model, messages=messages)
        with http.Client(verify=False) as client:
            return _parsed(client.post(self._url + PATH, json=_body(model, messages, False)).text)

    async def achat(self, *, model: str, messages: Any, stream: bool = True) -> AsyncIterator[Any]:
        """An asynchronous generator function."""
        async with (
            http.AsyncClient(verify=False) as client,
            client.stream("POST", self._url + PATH, json=_body(model, messages, stream)) as response,
        ):
            _check(response)
            async for line in response.aiter_lines():
                for chunk in _chunks(line):
                    yield chunk

    async def open(self, *, model: str, messages: Any, stream: bool = True) -> AsyncIterator[Any]:
        """A coroutine function that returns an asynchronous generator."""
        return self.achat(model=model, messages=messages, stream=stream)


def _body(model: str, messages: Any, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, "stream": stream}


def _check(response: Any) -> None:
    if response.status_code != 200:
        raise Refused(f"status {response.status_code}")


def _chunks(line: str) -> Iterator[Any]:
    if line.startswith("data: {"):
        yield _parsed(line.removeprefix("data: "))


def _parsed(text: str) -> Any:
    return json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))


def _target(qualname: str, is_async: bool = False) -> Target:
    return Target(
        module=__name__,
        qualname=f"Client.{qualname}",
        operation="chat",
        read_request=_chat_completions.read_request,
        read_response=_chat_completions.read_completion,
        read_chunk=_chat_completions.read_chunk,
        read_prompt=_chat_content.read_prompt,
        read_answer=_chat_content.read_answer,
        read_pieces=_chat_content.read_pieces,
        is_async=is_async,
        end_mark=b"data: [DONE]",
    )


PROVIDER = Provider("fake", (_target("chat"), _target("ask"), _target("achat"), _target("open", is_async=True)))
