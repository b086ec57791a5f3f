"""What the tests of several seeds need."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

import midspan_instrumentation as instrumentation
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.sdk import NO_TLS


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    """An SDK's client whose calls are seen."""
    instrumentation.apply()
    try:
        with FakeOpenAI() as server:
            http = openai.DefaultHttpxClient(verify=NO_TLS)
            with openai.OpenAI(api_key="x", base_url=server.base_url, http_client=http) as client:
                yield client
    finally:
        instrumentation.undo()
