"""A server that speaks OpenAI's protocol, clients for it, and the instrumentation switched on."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable, Iterator

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.testing import Captured, capture
from tests.fakes.openai_server import FakeOpenAI

# The default context reads all of the machine's certificates, for every client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

MakeAsync = Callable[[], openai.AsyncOpenAI]


@pytest.fixture(autouse=True, scope="module")
def small_heap() -> Iterator[None]:
    """A forced collection need not look at the modules of the SDKs again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


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
