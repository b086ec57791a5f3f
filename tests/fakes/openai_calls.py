"""The calls of OpenAI's SDK as applications make them, in the words of whichever major version is installed.

What an older version does not offer is left out.
"""

from __future__ import annotations

from typing import Any

import openai

from tests.fakes.openai_server import FakeOpenAI, OpenAIWire
from tests.fakes.sdk import MESSAGES, PROMPT, Answer, Case, Sdk, offered
from tests.fakes.stainless import SOUND, Clients

__all__ = ["ANSWERS", "MESSAGES", "PROMPT", "SDK", "SOUND", "STREAMS", "Case", "http"]

CLIENTS = Clients(openai.OpenAI, openai.AsyncOpenAI, "/v1")
sync_client, async_client, http = CLIENTS.sync_client, CLIENTS.async_client, CLIENTS.http
open_async_client, over = CLIENTS.open_async_client, CLIENTS.over


def case(name: str, method: str, older: str = "", **options: Any) -> Case:
    return Case("openai", name, method, tuple(options.items()), older)


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream, or of the SDK's own helper around one."""
    return getattr(stream, "_raw_stream", stream).response


STREAMS = offered(
    sync_client,
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
    sync_client,
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
