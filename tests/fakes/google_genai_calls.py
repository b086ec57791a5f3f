"""The calls of Google's Gen AI SDK as applications make them, in the words of whichever major version is installed."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from google import genai
from google.genai import _api_client

from tests.fakes.google_genai_server import FakeGemini, GeminiWire
from tests.fakes.sdk import NO_TLS, PROMPT, Case, Respond, Sdk, transport

_classes: Any = getattr(_api_client, "_get_http_client_classes", None) or (lambda: [_api_client.SyncHttpxClient])
http: ModuleType = importlib.import_module(_classes()[0].__mro__[1].__module__.partition(".")[0])
"""The HTTP library that the SDK chooses: httpx2 since google-genai 3, httpx before."""


def case(name: str, **options: Any) -> Case:
    return Case("google_genai", name, f"models.{name}", tuple(options.items()))


def made(url: str, **more: Any) -> genai.Client:
    """A client, which asks once. With a transport of its own it leaves aiohttp alone, which it prefers otherwise."""
    own = {"transport": http.AsyncHTTPTransport(verify=NO_TLS)}
    options: Any = {"base_url": url, "client_args": {"verify": NO_TLS}, "async_client_args": own}
    return genai.Client(api_key="x", http_options={**options, **more})


@contextmanager
def sync_client(url: str) -> Iterator[genai.Client]:
    """A client that is closed at the end."""
    with made(url) as client:
        yield client


@asynccontextmanager
async def async_client(url: str) -> AsyncIterator[Any]:
    """The same of the async kind."""
    with made(url) as client:
        async with client.aio as own:
            yield own


def open_async_client(url: str) -> Any:
    """One that nobody closes."""
    return made(url).aio


def over(respond: Respond) -> tuple[Any, Any]:
    """A client of each kind that is answered in the process."""
    answered = transport(http, respond)
    own: Any = {"client_args": {"transport": answered}, "async_client_args": {"transport": answered}}
    client = made("http://model.example", **own)
    return client, client.aio


PARTS: Any = [{"text": PROMPT}, {"inline_data": {"mime_type": "image/png", "data": b"png"}}]
CONFIG: Any = {
    "thinking_config": {"include_thoughts": True},
    "response_modalities": ["TEXT"],
    "response_mime_type": "text/plain",
    "http_options": {"timeout": 30_000},
}

HAS_INTERACTIONS = find_spec("google.genai._gaos") is not None
"""google-genai 1 had others."""


LOST = "google.genai._gaos.lib.compat_errors.APIConnectionError", f"{http.__name__}.RemoteProtocolError"


def interaction(name: str, **options: Any) -> tuple[Case, ...]:
    """One, where the SDK has them."""
    asked = tuple({"input": PROMPT, **options}.items())
    # What was let go of is closed by the event loop, which httpx lets run before it has closed the body.
    streamed: Any = {"lets_go": (True, http.__name__ == "httpx"), "turned": (LOST,)} if "stream" in options else {}
    return (Case("google_genai", name, "interactions.create", asked, **streamed),) if HAS_INTERACTIONS else ()


STREAMS = (
    replace(
        case("generate_content_stream", contents=[{"role": "user", "parts": PARTS}], config=CONFIG),
        lets_go=(True, True),
        is_late=True,
    ),
    *interaction("interactions_stream", stream=True),
)
"""Streamed answers."""

ANSWERS = (
    case("generate_content", contents=PROMPT),
    case("embed_content", contents=PROMPT),
    *interaction("interactions"),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="google_genai",
    server=FakeGemini,
    wire=GeminiWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    told={
        "Error code: 400": "400 INVALID_ARGUMENT",
        f"400 INVALID_ARGUMENT. {GeminiWire().error('no such thing', '')}": "400 INVALID_ARGUMENT",
    },
)
"""Google's SDK, in the table of SDKs."""
