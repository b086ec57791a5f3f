"""The calls of Anthropic's SDK as applications make them, in the words of whichever major version is installed."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.fakes.anthropic_server import AnthropicWire, FakeAnthropic
from tests.fakes.sdk import MESSAGES, Answer, Case, Sdk, offered
from tests.fakes.stainless import Clients

CLIENTS = Clients(anthropic.Anthropic, anthropic.AsyncAnthropic)
sync_client, open_async_client, http = CLIENTS.sync_client, CLIENTS.open_async_client, CLIENTS.http


def case(name: str, method: str, **options: Any) -> Case:
    return Case("anthropic", name, method, tuple({"messages": MESSAGES, "max_tokens": 64, **options}.items()))


def http_response(stream: Any) -> Any:
    """The HTTP response of a stream, which the SDK's helper around one shows as well."""
    return stream.response


STREAMS = offered(
    sync_client,
    case("messages.create", "messages.create", stream=True),
    case("messages.stream", "messages.stream"),
    case("beta.messages.create", "beta.messages.create", stream=True),
    case("beta.messages.stream", "beta.messages.stream"),
)
"""Streamed answers."""

ANSWERS = offered(
    sync_client,
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
    async_client=CLIENTS.async_client,
    open_async_client=open_async_client,
    over=CLIENTS.over,
    streams=STREAMS,
    answers=ANSWERS,
    http_response=http_response,
    told={"Error code: 400": "400 invalid_request_error"},
)
"""Anthropic, in the table of SDKs."""
