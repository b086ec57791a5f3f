"""The calls of Groq's SDK as applications make them."""

from __future__ import annotations

from typing import Any

import groq

from tests.fakes.groq_server import FakeGroq, GroqWire
from tests.fakes.sdk import MESSAGES, PROMPT, Case, Sdk, offered
from tests.fakes.stainless import SOUND, Clients

__all__ = ["ANSWERS", "SDK", "SOUND", "STREAMS", "open_async_client", "sync_client"]

CLIENTS = Clients(groq.Groq, groq.AsyncGroq)
sync_client, open_async_client = CLIENTS.sync_client, CLIENTS.open_async_client


def case(name: str, method: str, **options: Any) -> Case:
    return Case("groq", name, method, tuple(options.items()))


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream."""
    return stream.response


STREAMS = offered(sync_client, case("chat.create", "chat.completions.create", messages=MESSAGES, stream=True))
"""Streamed answers."""

ANSWERS = offered(
    sync_client,
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
    async_client=CLIENTS.async_client,
    open_async_client=open_async_client,
    over=CLIENTS.over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    told={"Error code: 400": "400 invalid_request_error"},
)
"""Groq, in the table of SDKs."""
