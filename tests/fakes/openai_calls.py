"""The calls of OpenAI's SDK as applications make them, in the words of whichever major version is installed.

A `Case` is a target as the application calls it; the same text for the sync and the async client. What an older
version does not offer is left out.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any

import openai
import pydantic

MESSAGES: Any = [{"role": "user", "content": "Does it work?"}]
PROMPT = "Does it work?"
# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
http: ModuleType = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the SDK: httpx2 since openai 3, httpx before."""


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake server are."""

    answer: str


@dataclass(frozen=True)
class Case:
    """`method` (or where older versions have it, `older`) called with `options`."""

    provider: str
    name: str
    method: str
    options: tuple[tuple[str, Any], ...]
    older: str = ""

    def call(self, client: Any, model: str, **more: Any) -> Any:
        """What the application writes."""
        return self.method_of(client)(model=model, **dict(self.options), **more)

    def method_of(self, client: Any) -> Any:
        """The bound method."""
        try:
            return attrgetter(self.method)(client)
        except AttributeError:
            return attrgetter(self.older or self.method)(client)

    def is_offered(self) -> bool:
        """False where the installed version has no such method."""
        with sync_client("http://127.0.0.1:1/v1") as client:
            try:
                self.method_of(client)
            except AttributeError:
                return False
        return True

    def __str__(self) -> str:
        return f"{self.provider}.{self.name}"


def case(name: str, method: str, older: str = "", **options: Any) -> Case:
    return Case("openai", name, method, tuple(options.items()), older)


def offered(*cases: Case) -> tuple[Case, ...]:
    return tuple(case for case in cases if case.is_offered())


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[openai.OpenAI]:
    """A client that asks once, and is closed at the end."""
    client = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(**{"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more}) as made:
        yield made


@asynccontextmanager
async def async_client(url: str, **more: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same of the async kind."""
    async with open_async_client(url, **more) as made:
        yield made


def open_async_client(url: str, **more: Any) -> openai.AsyncOpenAI:
    """One that nobody closes."""
    client = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    return openai.AsyncOpenAI(**{"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more})


Opened = Callable[[], Any]
"""Makes the call, with its client and model bound."""

STREAMS = offered(
    case("chat.create", "chat.completions.create", messages=MESSAGES, stream=True),
    case("chat.stream", "chat.completions.stream", "beta.chat.completions.stream", messages=MESSAGES),
    case("completions.create", "completions.create", prompt=PROMPT, stream=True),
    case("responses.create", "responses.create", input=PROMPT, stream=True),
    case("responses.stream", "responses.stream", input=PROMPT),
)
"""Streamed answers."""

ANSWERS = offered(
    case("chat.create", "chat.completions.create", messages=MESSAGES),
    case(
        "chat.parse",
        "chat.completions.parse",
        "beta.chat.completions.parse",
        messages=MESSAGES,
        response_format=Answer,
    ),
    case("completions.create", "completions.create", prompt=PROMPT),
    case("responses.create", "responses.create", input=PROMPT),
    case("responses.parse", "responses.parse", input=PROMPT, text_format=Answer),
    case("embeddings.create", "embeddings.create", input=PROMPT),
)
"""Answers in one piece."""
