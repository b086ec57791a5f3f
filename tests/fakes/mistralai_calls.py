"""The calls of Mistral's SDK as applications make them.

Its clients are synchronous and asynchronous at once: each method has a twin.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import pydantic
from mistralai.client import Mistral, basesdk
from mistralai.client.utils import serializers

from tests.fakes.mistralai_server import FakeMistral, MistralWire
from tests.fakes.sdk import MESSAGES, NO_TLS, PROMPT, Case, Respond, Sdk, offered, transport

http: ModuleType = importlib.import_module(basesdk.httpx.__name__)
"""The HTTP library of the SDK: httpx2 since mistralai 3, httpx before."""


class Twin:
    """A client whose methods are the asynchronous ones, under the names of the others."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._client, f"{name}_async", None)
        return Twin(getattr(self._client, name)) if twin is None else twin


@functools.cache
def _model_of(name: str, body: Any, config: tuple[tuple[str, Any], ...]) -> Any:
    return pydantic.create_model(name, body=body, __config__=pydantic.ConfigDict(**dict(config)))


# The SDK makes new classes for every field of every request: of the same fields they are the same, and three quarters
# of the time of a call. The benchmarks measure it as it is.
if "pytest" in sys.modules:
    serializers.create_model = lambda name, *, body, __config__: _model_of(name, body, tuple(__config__.items()))


SOUND = "https://sounds.example/a.wav"


def case(name: str, model_as: str = "model", method: str = "", **options: Any) -> Case:
    return Case("mistralai", name, method or name, tuple(options.items()), model_as=model_as)


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[Mistral]:
    """A client that asks once, and is closed at the end."""
    with http.Client(verify=NO_TLS) as client:
        yield Mistral(api_key="x", server_url=url, **{"client": client, **more})


@asynccontextmanager
async def async_client(url: str) -> AsyncIterator[Twin]:
    """The same of the async kind."""
    async with http.AsyncClient(verify=NO_TLS) as client:
        yield _twin(url, client)


def open_async_client(url: str) -> Twin:
    """One that nobody closes."""
    return _twin(url, http.AsyncClient(verify=NO_TLS))


def _twin(url: str, client: Any) -> Twin:
    unused = http.Client(transport=http.MockTransport(lambda _: http.Response(500)))
    return Twin(Mistral(api_key="x", server_url=url, client=unused, async_client=client))


def over(respond: Respond) -> tuple[Mistral, Twin]:
    """A client of each kind that is answered in the process."""
    return in_cloud(Mistral, respond, api_key="x", server_url="http://model.example")


def in_cloud(client: type[Any], respond: Respond, **options: Any) -> tuple[Any, Twin]:
    """The same of a client for another cloud, of its class."""
    answered = transport(http, respond)
    clients = {"client": http.Client(transport=answered), "async_client": http.AsyncClient(transport=answered)}
    made = client(**options, **clients)
    return made, Twin(made)


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream."""
    return stream.response


def loaded(*cases: Case) -> tuple[Case, ...]:
    """Those that the installed version has. The SDK imports the modules of its resources when they are first used: a
    collector looks at them ever after."""
    return offered(sync_client, *cases)


STREAMS = loaded(
    case("chat.stream", messages=MESSAGES),
    case("fim.stream", prompt=PROMPT),
    case("agents.stream", model_as="agent_id", messages=MESSAGES),
    case("beta.conversations.start_stream", inputs=PROMPT),
    case("audio.transcriptions.stream", file_url=SOUND),
    case("responses.stream", method="responses.create", input=PROMPT, stream=True),
)
"""Streamed answers; `chat.parse_stream` is a `chat.stream`, and other events of a conversation are as its first."""

ANSWERS = loaded(
    case("chat.complete", messages=MESSAGES),
    case("fim.complete", prompt=PROMPT),
    case("agents.complete", model_as="agent_id", messages=MESSAGES),
    case("beta.conversations.start", inputs=PROMPT),
    case("embeddings.create", inputs=PROMPT),
    case("responses.create", input=PROMPT),
    case("audio.transcriptions.complete", file_url=SOUND),
    case("ocr.process", document={"type": "document_url", "document_url": "https://pages.example/a.pdf"}),
)
"""Answers in one piece; `chat.parse` is a `chat.complete`."""

REFUSED = json.dumps(MistralWire().error("no such thing", "invalid_request_error"))

SDK = Sdk(
    provider="mistralai",
    server=FakeMistral,
    wire=MistralWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    told={f"API error occurred: Status 400. Body: {REFUSED}": "400"},
)
"""Mistral, in the table of SDKs."""
