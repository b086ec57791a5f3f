"""Every SDK streams from a real model while its progress is read over HTTP.

SDKs that are not installed here are left out: litellm's row runs in an environment of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

import pytest

from midspan.core.operation import Status
from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.sdk import Case
from tests.fakes.sdks import SDKS
from tests.model import Model, running_model

PREFIX = "/openai"
"""Before the paths of the server's API: Groq's client has it in its own."""
QUESTION: Any = [{"role": "user", "content": "Tell me a long story about a river."}]
TOKENS = 32
LOOKS = range(2, 10)
"""The chunks that are followed by a look."""


@dataclass(frozen=True)
class Row:
    """A streaming call of the table, and how the server is given to that SDK's client."""

    provider: str
    name: str
    path: str

    @property
    def case(self) -> Case:
        return next(case for case in SDKS[self.provider].streams if case.name == self.name)

    def __str__(self) -> str:
        return self.provider


ROWS = (
    Row("openai", "chat.create", f"{PREFIX}/v1"),
    Row("anthropic", "messages.stream", PREFIX),
    Row("groq", "chat.create", ""),
    Row("mistralai", "chat.stream", PREFIX),
    Row("huggingface_hub", "chat_completion", f"{PREFIX}/v1"),
    Row("litellm", "completion", f"{PREFIX}/v1"),
)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with running_model("--prefix", PREFIX) as running:
        yield running


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Where the operations are read."""
    app = create_app(get_progress_registry(), metrics=lambda _: (b"", "text/plain"))
    server = EmbeddedServer(lambda: app, port=0)
    server.start()
    yield f"{server.url}/v1/operations"
    server.stop()


def read(api: str) -> Any:
    """The one operation that runs, as the API shows it."""
    with urlopen(f"{api}?status=running", timeout=10) as answer:
        (operation,) = json.load(answer)["operations"]
    return operation


def ask(row: Row, client: Any, model: str) -> AbstractContextManager[Any]:
    """The stream; a plain generator needs no closing."""
    options: Any = {**dict(row.case.options), row.case.model_as: model, "messages": QUESTION, "max_tokens": TOKENS}
    made = row.case.method_of(client)(**options)
    return made if hasattr(made, "__enter__") else nullcontext(made)


@pytest.mark.parametrize("row", [row for row in ROWS if row.provider in SDKS], ids=str)
def test_a_stream_from_a_real_model_is_seen_while_it_runs(row: Row, model: Model, api: str, seen: Captured) -> None:
    looks: list[Any] = []
    address = model.base_url.removesuffix(f"{PREFIX}/v1")
    with SDKS[row.provider].sync_client(address + row.path) as client, ask(row, client, model.name) as stream:
        for number, _ in enumerate(stream):
            if number in LOOKS:
                looks.append(read(api))
    tokens = [look["tokens"]["output"] for look in looks]
    assert {look["stage"] for look in looks} == {"streaming_response"}
    assert tokens == sorted(tokens) and tokens[0] < tokens[-1]
    (operation,) = seen.operations
    assert operation.status == Status.COMPLETED
    assert operation.tokens is not None and operation.tokens.output is not None
    assert tokens[-1] <= operation.tokens.output <= TOKENS
