"""The calls of Hugging Face's clients as applications make them."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import huggingface_hub
from huggingface_hub import AsyncInferenceClient, InferenceClient, constants
from huggingface_hub.inference import _client

from tests.fakes.huggingface_server import FakeHuggingFace, HuggingFaceWire
from tests.fakes.sdk import MESSAGES, NO_TLS, PROMPT, Case, Respond, Sdk, transport

http: ModuleType = importlib.import_module("httpx2" if hasattr(_client, "httpx2") else "httpx")
"""The HTTP library of the SDK: httpx2 since huggingface_hub 2, httpx before."""
# With it the package asks its hub, before the first call, how to tell what runs it, and writes that to the home folder.
constants.HF_HUB_DISABLE_TELEMETRY = True


@dataclass(frozen=True)
class ServedCase(Case):
    """Other tasks than chats are told an address in the place of a model."""

    def call(self, client: Any, model: str, **more: Any) -> Any:
        return super().call(client, model if self.name == "chat_completion" else f"{client.model}/{model}", **more)


def case(name: str, **options: Any) -> Case:
    return ServedCase("huggingface_hub", name, name, tuple(options.items()))


def _use(**options: Any) -> None:
    """The HTTP clients are the package's own, and shared."""
    huggingface_hub.set_client_factory(lambda: http.Client(**options))
    huggingface_hub.set_async_client_factory(lambda: http.AsyncClient(**options))


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[InferenceClient]:
    """A client, which is closed at the end."""
    _use(verify=NO_TLS)
    with InferenceClient(**{"base_url": url, "token": "x", **more}) as made:
        yield made
    huggingface_hub.close_session()


@asynccontextmanager
async def async_client(url: str, **more: Any) -> AsyncIterator[AsyncInferenceClient]:
    """The same of the async kind."""
    async with open_async_client(url, **more) as made:
        yield made


def open_async_client(url: str, **more: Any) -> AsyncInferenceClient:
    """One that nobody closes."""
    _use(verify=NO_TLS)
    return AsyncInferenceClient(**{"base_url": url, "token": "x", **more})


def over(respond: Respond) -> tuple[InferenceClient, AsyncInferenceClient]:
    """A client of each kind that is answered in the process."""
    _use(transport=transport(http, respond))
    options: Any = {"base_url": "http://model.example", "token": "x"}
    return InferenceClient(**options), AsyncInferenceClient(**options)


STREAMS = (
    case("chat_completion", messages=MESSAGES, stream=True),
    case("text_generation", prompt=PROMPT, stream=True, details=True),
)
"""Streamed answers."""

ANSWERS = (
    case("chat_completion", messages=MESSAGES),
    case("text_generation", prompt=PROMPT, details=True),
    case("zero_shot_classification", text=PROMPT, candidate_labels=["yes"]),
)
"""Answers in one piece."""

SDK = Sdk(
    provider="huggingface_hub",
    server=FakeHuggingFace,
    wire=HuggingFaceWire(),
    sync_client=sync_client,
    async_client=async_client,
    open_async_client=open_async_client,
    over=over,
    streams=STREAMS,
    answers=ANSWERS,
    # The asynchronous client has not read the body when it raises.
    told={"Bad request:\nno such thing": "400", "Bad request:": "400"},
)
"""huggingface_hub, in the table of SDKs."""
