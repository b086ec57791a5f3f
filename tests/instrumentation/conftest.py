"""A server that speaks OpenAI's protocol, clients for it, and the instrumentation switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.core.content import NO_CAPTURE, Capture
from midspan.core.state import State
from midspan.testing import Captured, capture
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.sdk import NO_TLS

MakeAsync = Callable[[], openai.AsyncOpenAI]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def client(server: FakeOpenAI) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(api_key="x", base_url=server.base_url, http_client=http) as client:
        yield client


@pytest.fixture
def make_async(server: FakeOpenAI) -> MakeAsync:
    """Makes a client inside the test's own event loop; the test enters it."""

    def make() -> openai.AsyncOpenAI:
        http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        return openai.AsyncOpenAI(api_key="x", base_url=server.base_url, http_client=http)

    return make


@pytest.fixture
def seen() -> Iterator[Captured]:
    """The instrumentation is on; what it has seen."""
    instrumentation.apply()
    try:
        with capture() as captured:
            yield captured
    finally:
        instrumentation.undo()


@pytest.fixture
def states(seen: Captured) -> list[State]:
    """The live states of what it has seen, which hold the spans' attributes."""
    return seen._states


@pytest.fixture
def capturing() -> Iterator[None]:
    """Content is asked for."""
    registry = get_progress_registry()
    registry.capture = Capture(preview=True, span=True)
    yield
    registry.capture = NO_CAPTURE
