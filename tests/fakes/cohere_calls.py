"""The calls of Cohere's SDK as applications make them, of both versions of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import cohere
import httpx
from cohere.core.http_response import AsyncHttpResponse, HttpResponse

from tests.fakes.cohere_server import CohereWire, FakeCohere
from tests.fakes.sdk import MESSAGES, NO_TLS, PROMPT, Case, Respond, Sdk, offered, transport

# Older releases have no `max_retries`, and ask three times; a connection is not asked for again.
ONCE: Any = {"max_retries": 0}
# Whoever compares two requests needs the same boundary in both.
SOUND: Any = {**ONCE, "additional_headers": {"Content-Type": "multipart/form-data; boundary=x"}}


class Told(dict[str, str]):
    """The SDK prints a refusal with all its headers, the date too."""

    def get(self, message: str, default: Any = None) -> Any:
        return "400" if "status_code: 400, body: " in message else default


class RawStream:
    """A raw stream as an application reads it: in a `with` block, the events of what its manager gives."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.response: Any = None

    def __enter__(self) -> Self:
        self.response = self._manager.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._manager.__exit__(*error)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self.response.data)

    def close(self) -> None:
        """Leaves the block."""
        self._manager.__exit__(None, None, None)


class AsyncRawStream:
    """The same of an asynchronous client."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.response: Any = None

    async def __aenter__(self) -> Self:
        self.response = await self._manager.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._manager.__aexit__(*error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await anext(self.response.data)

    async def aclose(self) -> None:
        """Leaves the block."""
        await self._manager.__aexit__(None, None, None)


class Both:
    """A client of v2, and one of v1 under `v1`."""

    def __init__(self, make_v1: Any, make_v2: Any, **options: Any) -> None:
        self._v2, self.v1 = make_v2(api_key="x", **options), make_v1(api_key="x", **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._v2, name)

    def raw_stream(self, **asked: Any) -> Any:
        """A raw chat of v2."""
        manager = self._v2.with_raw_response.chat_stream(**asked)
        return (RawStream if hasattr(manager, "__enter__") else AsyncRawStream)(manager)


def facts(answer: Any) -> object:
    """An answer that can be compared: a raw one by what it holds."""
    return (answer.status_code, answer.data) if isinstance(answer, (HttpResponse, AsyncHttpResponse)) else answer


def case(name: str, method: str = "", **options: Any) -> Case:
    return Case("cohere", name, method or name, (("request_options", ONCE), *options.items()))


@contextmanager
def sync_client(url: str) -> Iterator[Both]:
    """A client that asks once, and is closed at the end."""
    with httpx.Client(verify=NO_TLS) as client:
        yield Both(cohere.Client, cohere.ClientV2, base_url=url, httpx_client=client)


@asynccontextmanager
async def async_client(url: str) -> AsyncIterator[Both]:
    """The same of the async kind."""
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        yield Both(cohere.AsyncClient, cohere.AsyncClientV2, base_url=url, httpx_client=client)


def open_async_client(url: str) -> Both:
    """One that nobody closes."""
    client = httpx.AsyncClient(verify=NO_TLS)
    return Both(cohere.AsyncClient, cohere.AsyncClientV2, base_url=url, httpx_client=client)


def over(respond: Respond) -> tuple[Both, Both]:
    """A client of each kind that is answered in the process."""
    answered = transport(httpx, respond)
    url, own = "http://model.example", httpx.AsyncClient(transport=answered)
    return (
        Both(cohere.Client, cohere.ClientV2, base_url=url, httpx_client=httpx.Client(transport=answered)),
        Both(cohere.AsyncClient, cohere.AsyncClientV2, base_url=url, httpx_client=own),
    )


STREAMS = offered(
    sync_client,
    case("chat_stream", messages=MESSAGES),
    case("v1.chat_stream", message=PROMPT),
    case("v1.generate_stream", prompt=PROMPT),
    case("raw.chat_stream", "raw_stream", messages=MESSAGES),
)
"""Streamed answers."""

ANSWERS = offered(
    sync_client,
    case("chat", messages=MESSAGES),
    case("embed", texts=[PROMPT], input_type="search_query", embedding_types=["float"]),
    case("rerank", query=PROMPT, documents=["Yes.", "No."]),
    case("v1.chat", message=PROMPT),
    case("v1.generate", prompt=PROMPT),
    case("v1.embed", texts=[PROMPT], input_type="search_query"),
    # The two batches are alike: they may be sent in any order.
    case("v1.embed.batches", "v1.embed", texts=[PROMPT] * 192, input_type="search_query"),
    case("v1.rerank", query=PROMPT, documents=["Yes.", "No."]),
    case("v1.classify", inputs=[PROMPT]),
    case("raw.chat", "with_raw_response.chat", messages=MESSAGES),
    case("parse", document={"type": "image_url", "image_url": "https://pages.example/a.png"}),
    case("audio.transcriptions.create", language="en", file=("a.wav", b"sound"), request_options=SOUND),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="cohere",
    server=FakeCohere,
    wire=CohereWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    told=Told(),
    facts=facts,
)
"""Cohere, in the table of SDKs."""
