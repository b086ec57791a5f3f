"""The calls of Groq's SDK as applications make them."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import groq

from tests.fakes.groq_server import FakeGroq, GroqWire
from tests.fakes.sdk import MESSAGES, PROMPT, Case, Respond, Sdk, transport

# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
http: ModuleType = importlib.import_module(groq.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the SDK."""

# Whoever compares two requests needs the same boundary in both.
SOUND: Any = {"file": ("a.wav", b"sound"), "extra_headers": {"Content-Type": "multipart/form-data; boundary=x"}}


def case(name: str, method: str, **options: Any) -> Case:
    return Case("groq", name, method, tuple(options.items()))


def offered(*cases: Case) -> tuple[Case, ...]:
    with sync_client("http://127.0.0.1:1") as client:
        return tuple(case for case in cases if case.is_offered(client))


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[groq.Groq]:
    """A client that asks once, and is closed at the end."""
    client = groq.DefaultHttpxClient(verify=NO_TLS)
    with groq.Groq(**{"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more}) as made:
        yield made


@asynccontextmanager
async def async_client(url: str, **more: Any) -> AsyncIterator[groq.AsyncGroq]:
    """The same of the async kind."""
    async with open_async_client(url, **more) as made:
        yield made


def open_async_client(url: str, **more: Any) -> groq.AsyncGroq:
    """One that nobody closes."""
    client = groq.DefaultAsyncHttpxClient(verify=NO_TLS)
    return groq.AsyncGroq(**{"api_key": "x", "base_url": url, "max_retries": 0, "http_client": client, **more})


def over(respond: Respond) -> tuple[groq.Groq, groq.AsyncGroq]:
    """A client of each kind that is answered in the process."""
    answered = transport(http, respond)
    options: Any = {"api_key": "x", "base_url": "http://model.example", "max_retries": 0}
    return (
        groq.Groq(**options, http_client=http.Client(transport=answered)),
        groq.AsyncGroq(**options, http_client=http.AsyncClient(transport=answered)),
    )


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream."""
    return stream.response


STREAMS = offered(case("chat.create", "chat.completions.create", messages=MESSAGES, stream=True))
"""Streamed answers."""

ANSWERS = offered(
    case("chat.create", "chat.completions.create", messages=MESSAGES),
    case("embeddings.create", "embeddings.create", input=PROMPT),
    case("audio.transcriptions", "audio.transcriptions.create", **SOUND),
    case("audio.translations", "audio.translations.create", **SOUND),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="groq",
    server=FakeGroq,
    wire=GroqWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    told={"Error code: 400": "400 invalid_request_error"},
)
"""Groq, in the table of SDKs."""
