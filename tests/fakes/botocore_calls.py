"""The calls of clients for Bedrock as applications make them: botocore's, and aiobotocore's where it is installed."""

from __future__ import annotations

import importlib
import inspect
import io
import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.config import Config
from urllib3 import HTTPResponse

from tests.fakes.bedrock_server import BedrockWire, FakeBedrock
from tests.fakes.sdk import PROMPT, Case, Respond, Sdk

twin = importlib.import_module("tests.fakes.aiobotocore_calls") if find_spec("aiobotocore") else None
"""The clients of the asynchronous kind, which pin botocore: they are in an environment of their own."""

MESSAGES: Any = [{"role": "user", "content": [{"text": PROMPT}]}]
CLAUDE: Any = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": PROMPT}],
    }
)
OF_THE_MOMENT = ("Authorization", "X-Amz-Date", "amz-sdk-invocation-id")
"""Headers that are never the same twice."""


@dataclass(frozen=True)
class BedrockCase(Case):
    """What applications work with is a part of what the client returns."""

    def call(self, client: Any, model: str, **more: Any) -> Any:
        answer = super().call(client, model, **more)
        if inspect.isawaitable(answer):
            return self._awaited(answer)
        return json.loads(answer["body"].read()) if self.name == "invoke_model" else _part_of(answer)

    async def _awaited(self, awaitable: Awaitable[Any]) -> Any:
        answer = await awaitable
        return json.loads(await answer["body"].read()) if self.name == "invoke_model" else _part_of(answer)


def _part_of(answer: Any) -> Any:
    return answer["stream"] if "stream" in answer else answer.get("body", answer)


def case(name: str, **options: Any) -> Case:
    return BedrockCase("botocore", name, name, tuple(options.items()), model_as="modelId")


@cache
def _session() -> Any:
    session = botocore.session.Session()
    session.set_credentials("x", "y")
    return session


def made(url: str, **more: Any) -> Any:
    """A client that asks once."""
    config = Config(**{"retries": {"total_max_attempts": 1, "mode": "standard"}, **more})
    return _session().create_client("bedrock-runtime", "us-east-1", endpoint_url=url, config=config)


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[Any]:
    """It is closed at the end."""
    client = made(url, **more)
    try:
        yield client
    finally:
        client.close()


class _Body(io.RawIOBase):
    """A body that is read part by part."""

    def __init__(self, parts: Any) -> None:
        self._parts = iter(parts)

    def read(self, size: int | None = -1) -> bytes:
        whole = size in (None, -1)
        part = b"".join(self._parts) if whole else next(self._parts, b"")
        if whole or not part:
            self.close()
        return part


def over(respond: Respond) -> tuple[Any, Any]:
    """A client of each kind that is installed, whose connections answer in the process."""
    client = made("http://model.example")
    session = client._endpoint.http_session

    def urlopen(url: str, body: bytes, headers: Any, **_: Any) -> HTTPResponse:
        reply = respond(url, [header for header in sorted(headers.items()) if header[0] not in OF_THE_MOMENT], body)
        return HTTPResponse(
            _Body(reply.parts), {"content-type": reply.kind}, reply.status, preload_content=False, decode_content=False
        )

    session._manager = SimpleNamespace(
        connection_from_url=lambda _url: SimpleNamespace(urlopen=urlopen), clear=lambda: None
    )
    return client, twin and twin.over(respond)


STREAMS = (
    case("converse_stream", messages=MESSAGES),
    case("invoke_model_with_response_stream", body=CLAUDE),
)
"""Streamed answers."""

ANSWERS = (
    case("converse", messages=MESSAGES),
    case("invoke_model", body=CLAUDE),
)
"""Answers in one piece."""

_REFUSED = (
    "An error occurred (ValidationException) when calling the {} operation (reached max retries: 0): no such thing"
)

SDK = Sdk(
    provider="botocore",
    server=FakeBedrock,
    wire=BedrockWire(),
    sync_client=sync_client,
    async_client=twin and twin.async_client,
    open_async_client=twin and twin.open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    told={
        _REFUSED.format(name): "400 ValidationException"
        for name in ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
    },
)
"""botocore, in the table of SDKs."""
