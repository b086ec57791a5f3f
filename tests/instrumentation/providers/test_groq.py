"""What the Groq readers read beyond what OpenAI's format has."""

from __future__ import annotations

import asyncio
from typing import Any

import groq
import pytest
from groq.resources.audio import Audio

from midspan.core.operation import Status
from midspan.testing import Captured
from midspan_instrumentation.provider import Server
from midspan_instrumentation.providers.groq import PROVIDER
from tests.fakes.groq_calls import SDK, SOUND, open_async_client
from tests.fakes.groq_server import FakeGroq
from tests.instrumentation.seen import fixtures_of, said, the_operation

CANARY = "canary-7f3a"
MESSAGES: Any = [{"role": "user", "content": CANARY}]


server, client = fixtures_of(SDK)


def test_a_request_is_read_without_its_content(client: groq.Groq, server: FakeGroq, seen: Captured) -> None:
    client.chat.completions.create(model="ok", messages=MESSAGES, max_tokens=64, temperature=0.5)
    attributes = said(seen._states[0])
    assert attributes["gen_ai.provider.name"] == "groq"
    assert (attributes["gen_ai.request.max_tokens"], attributes["gen_ai.request.temperature"]) == (64, 0.5)
    assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", server.port)
    assert CANARY not in repr(attributes) + repr(seen.operations)


def test_usage_of_a_stream_is_read_from_groqs_own_field(client: groq.Groq, seen: Captured) -> None:
    list(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True))
    operation = the_operation(seen)
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output, operation.tokens.estimated) == (7, 3, False)


def test_a_prompts_progress_is_seen_before_the_first_chunk(client: groq.Groq, seen: Captured) -> None:
    asked: Any = {"extra_body": {"return_progress": True}}
    stream = iter(client.chat.completions.create(model="ok", messages=MESSAGES, stream=True, **asked))
    told: list[float | None] = []
    for _ in range(3):
        next(stream)
        told.append(the_operation(seen).stage_progress)
        assert (the_operation(seen).stage, the_operation(seen).chunks) == ("waiting_first_chunk", None)
    assert told == [0, pytest.approx(4 / 7), 1]
    next(stream)
    assert (the_operation(seen).stage, the_operation(seen).chunks) == ("streaming_response", 1)
    stream.close()


def test_an_async_stream_is_seen(server: FakeGroq, seen: Captured) -> None:
    async def run() -> int:
        async with open_async_client(server.base_url) as client:
            stream = await client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
            return len([chunk async for chunk in stream])

    count = asyncio.run(run())
    operation = the_operation(seen)
    assert (operation.chunks, operation.status) == (count, Status.COMPLETED)


def test_sound_is_of_an_operation_type_of_its_own(client: groq.Groq, seen: Captured) -> None:
    client.audio.transcriptions.create(model="ok", **SOUND)
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name) == ("audio", "transcription")


@pytest.mark.skipif(not hasattr(Audio, "speech"), reason="this version of the SDK has no speech")
def test_speech_is_seen(client: groq.Groq, seen: Captured) -> None:
    client.audio.speech.create(model="ok", input=CANARY, voice="v", response_format="wav")
    assert the_operation(seen).name == "speech"


def test_the_services_own_address_is_known() -> None:
    with groq.Groq(api_key="x") as client:
        server = PROVIDER.read_server(client.chat.completions)
    assert server == Server("api.groq.com", 443, 60.0, "groq")
