"""The calls of OpenAI's SDK as applications make them, in the words of whichever major version is installed.

What an older version does not offer is left out.
"""

from __future__ import annotations

import importlib
import inspect
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import openai
import pydantic

from tests.fakes.openai_server import FakeOpenAI, OpenAIWire
from tests.fakes.sdk import MESSAGES, PROMPT, Case, Respond, Sdk, transport

__all__ = ["ANSWERS", "MESSAGES", "PROMPT", "SDK", "STREAMS", "Case", "http"]

# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
http: ModuleType = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the SDK: httpx2 since openai 3, httpx before."""


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake server are."""

    answer: str


def case(name: str, method: str, older: str = "", **options: Any) -> Case:
    return Case("openai", name, method, tuple(options.items()), older)


def offered(*cases: Case) -> tuple[Case, ...]:
    with sync_client("http://127.0.0.1:1/v1") as client:
        return tuple(case for case in cases if case.is_offered(client) and _takes_options(case, client))


def _takes_options(case: Case, client: openai.OpenAI) -> bool:
    """Older versions make images and transcriptions in one piece only."""
    return {name for name, _ in case.options} <= inspect.signature(case.method_of(client)).parameters.keys()


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


def over(respond: Respond) -> tuple[openai.OpenAI, openai.AsyncOpenAI]:
    """A client of each kind that is answered in the process."""
    answered = transport(http, respond)
    options: Any = {"api_key": "x", "base_url": "http://model.example/v1", "max_retries": 0}
    return (
        openai.OpenAI(**options, http_client=http.Client(transport=answered)),
        openai.AsyncOpenAI(**options, http_client=http.AsyncClient(transport=answered)),
    )


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream, or of the SDK's own helper around one."""
    return getattr(stream, "_raw_stream", stream).response


# Whoever compares two requests needs the same boundary in both.
SOUND: Any = {"file": ("a.wav", b"sound"), "extra_headers": {"Content-Type": "multipart/form-data; boundary=x"}}

STREAMS = offered(
    case("chat.create", "chat.completions.create", messages=MESSAGES, stream=True),
    case("chat.stream", "chat.completions.stream", "beta.chat.completions.stream", messages=MESSAGES),
    case("completions.create", "completions.create", prompt=PROMPT, stream=True),
    case("responses.create", "responses.create", input=PROMPT, stream=True),
    case("responses.stream", "responses.stream", input=PROMPT),
    case("images.generate", "images.generate", prompt=PROMPT, stream=True, partial_images=2),
    case("audio.transcriptions", "audio.transcriptions.create", **SOUND, stream=True),
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
    case("images.generate", "images.generate", prompt=PROMPT),
    case("audio.transcriptions", "audio.transcriptions.create", **SOUND),
    case("moderations.create", "moderations.create", input=PROMPT),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="openai",
    server=FakeOpenAI,
    wire=OpenAIWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    # Older releases append the whole body.
    told={
        "Error code: 400 - no such thing": "400 invalid_request_error",
        "Error code: 400": "400 invalid_request_error",
        "overloaded": "server_error",
    },
)
"""OpenAI, in the table of SDKs."""
