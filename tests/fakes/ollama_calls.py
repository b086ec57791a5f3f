"""The calls of Ollama's SDK as applications make them."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import ollama

from tests.fakes.ollama_server import FakeOllama, OllamaWire
from tests.fakes.sdk import MESSAGES, NO_TLS, PROMPT, Case, Respond, Sdk, offered, transport

http: ModuleType = importlib.import_module("ollama._client").httpx


def case(name: str, **options: Any) -> Case:
    return Case("ollama", name, name, tuple(options.items()))


@contextmanager
def sync_client(url: str) -> Iterator[ollama.Client]:
    """A client that is closed at the end; none of them asks twice."""
    client = ollama.Client(url, verify=NO_TLS)
    with client._client:  # older releases cannot be closed themselves
        yield client


@asynccontextmanager
async def async_client(url: str) -> AsyncIterator[ollama.AsyncClient]:
    """The same of the async kind."""
    client = open_async_client(url)
    async with client._client:
        yield client


def open_async_client(url: str) -> ollama.AsyncClient:
    """One that nobody closes."""
    return ollama.AsyncClient(url, verify=NO_TLS)


def over(respond: Respond) -> tuple[ollama.Client, ollama.AsyncClient]:
    """A client of each kind that is answered in the process."""
    url, answered = "http://model.example", transport(http, respond)
    return ollama.Client(url, transport=answered), ollama.AsyncClient(url, transport=answered)


STREAMS = (
    case("chat", messages=MESSAGES, stream=True),
    case("generate", prompt=PROMPT, stream=True),
)
"""Streamed answers."""

ANSWERS = offered(
    sync_client,
    case("chat", messages=MESSAGES),
    case("generate", prompt=PROMPT),
    case("embed", input=PROMPT),
    case("embeddings", prompt=PROMPT),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="ollama",
    server=FakeOllama,
    wire=OllamaWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    told={"no such thing (status code: 400)": "400", "no such thing": "400"},
)
"""Ollama, in the table of SDKs."""
