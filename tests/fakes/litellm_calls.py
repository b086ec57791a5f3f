"""The calls of LiteLLM as applications make them: functions of the package, and methods of a router.

The service that they are for is OpenAI's, by its own SDK, whose clients are handed to each call.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from tests.fakes import openai_calls
from tests.fakes.openai_server import FakeOpenAI, OpenAIWire
from tests.fakes.sdk import MESSAGES, PROMPT, Case, Respond, Sdk

# Else its import asks a server for the prices of all models.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm

litellm.suppress_debug_info = True
# It tells of each event loop, of which tests have one each.
logging.getLogger("LiteLLM").setLevel(logging.ERROR)

FUNCTIONS = ("completion", "text_completion", "embedding")


class Client:
    """The functions for one server: `prefix` is empty, or `a` for the asynchronous ones."""

    def __init__(self, client: Any, prefix: str = "") -> None:
        self.options = {"client": client, "api_base": str(client.base_url), "api_key": "x", "max_retries": 0}
        for name in FUNCTIONS:
            setattr(self, name, partial(self._call, f"{prefix}{name}"))

    def _call(self, function: str, *, model: str, **asked: Any) -> Any:
        return getattr(litellm, function)(model=f"openai/{model}", **self.options, **asked)


@contextmanager
def sync_client(url: str) -> Iterator[Client]:
    """The functions for a server that are asked once."""
    with openai_calls.sync_client(url) as client:
        yield Client(client)


@asynccontextmanager
async def async_client(url: str) -> AsyncIterator[Client]:
    """The same of the async kind."""
    async with openai_calls.async_client(url) as client:
        yield Client(client, "a")


def open_async_client(url: str) -> Client:
    """One that nobody closes."""
    return Client(openai_calls.open_async_client(url), "a")


def over(respond: Respond) -> tuple[Client, Client]:
    """A client of each kind that is answered in the process."""
    sync, own = openai_calls.over(respond)
    return Client(sync), Client(own, "a")


def case(name: str, closable: tuple[bool, bool] = (False, False), **options: Any) -> Case:
    return Case("litellm", name, name, tuple(options.items()), closable=closable)


def facts(answer: Any) -> object:
    """An answer or a chunk but for the time of its making."""
    return {**answer.model_dump(), "created": None}


class Told(dict[str, str]):
    """What is kept of a message, by a part of it: the messages name the service, and repeat each other."""

    def get(self, message: str, default: Any = None) -> Any:
        """The kept one, for the first part that is in the message."""
        return next((kept for part, kept in self.items() if part in message), default)


SDK = Sdk(
    provider="litellm",
    server=FakeOpenAI,
    wire=OpenAIWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=(
        case("completion", (False, True), messages=MESSAGES, stream=True),
        case("text_completion", prompt=PROMPT, stream=True),
    ),
    answers=(
        case("completion", messages=MESSAGES),
        case("text_completion", prompt=PROMPT),
        case("embedding", input=PROMPT),
    ),
    facts=facts,
    told=Told(
        {
            "Exception - no such thing": "400 invalid_request_error",
            "Error code: 400": "400",
            "litellm.InternalServerError: ": "500 internal_server_error",
            "litellm.MidStreamFallbackError: ": "500",
        }
    ),
)
"""LiteLLM, in the table of SDKs."""
