"""The calls of Anthropic's SDK as applications make them, in the words of whichever major version is installed."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import anthropic
import pydantic

from tests.fakes.anthropic_server import AnthropicWire, FakeAnthropic
from tests.fakes.sdk import MESSAGES, Case, Respond, Sdk, transport

# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
http: ModuleType = importlib.import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the SDK: httpx2 since anthropic 2, httpx before."""


class Answer(pydantic.BaseModel):
    """What the structured outputs of the fake server are."""

    answer: str


def case(name: str, method: str, **options: Any) -> Case:
    return Case("anthropic", name, method, tuple({"messages": MESSAGES, "max_tokens": 64, **options}.items()))


def offered(*cases: Case) -> tuple[Case, ...]:
    with sync_client("http://127.0.0.1:1") as client:
        return tuple(case for case in cases if case.is_offered(client))


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[anthropic.Anthropic]:
    """A client that asks once, and is closed at the end."""
    client = anthropic.DefaultHttpxClient(verify=NO_TLS)
    options = {"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more}
    with anthropic.Anthropic(**options) as made:
        yield made


@asynccontextmanager
async def async_client(url: str, **more: Any) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The same of the async kind."""
    async with open_async_client(url, **more) as made:
        yield made


def open_async_client(url: str, **more: Any) -> anthropic.AsyncAnthropic:
    """One that nobody closes."""
    client = anthropic.DefaultAsyncHttpxClient(verify=NO_TLS)
    return anthropic.AsyncAnthropic(
        **{"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more}
    )


def over(respond: Respond) -> tuple[anthropic.Anthropic, anthropic.AsyncAnthropic]:
    """A client of each kind that is answered in the process."""
    answered = transport(http, respond)
    options: Any = {"api_key": "x", "base_url": "http://model.example", "max_retries": 0}
    return (
        anthropic.Anthropic(**options, http_client=http.Client(transport=answered)),
        anthropic.AsyncAnthropic(**options, http_client=http.AsyncClient(transport=answered)),
    )


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream, which the SDK's helper around one shows as well."""
    return stream.response


STREAMS = offered(
    case("messages.create", "messages.create", stream=True),
    case("messages.stream", "messages.stream"),
    case("beta.messages.create", "beta.messages.create", stream=True),
    case("beta.messages.stream", "beta.messages.stream"),
)
"""Streamed answers."""

ANSWERS = offered(
    case("messages.create", "messages.create"),
    case("messages.parse", "messages.parse", output_format=Answer),
    case("beta.messages.create", "beta.messages.create"),
    case("beta.messages.parse", "beta.messages.parse", output_format=Answer),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="anthropic",
    server=FakeAnthropic,
    wire=AnthropicWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    told={"Error code: 400": "400 invalid_request_error"},
)
"""Anthropic, in the table of SDKs."""
