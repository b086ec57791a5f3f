"""Images, sound and moderations of OpenAI's API."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import openai
import pytest
from openai.resources.images import Images
from openai.types import ImagesResponse

from midspan.core.operation import Status
from midspan.testing import Captured
from midspan_instrumentation.provider import Reading, Usage
from midspan_instrumentation.providers import _audio as audio
from midspan_instrumentation.providers import _images as images
from midspan_instrumentation.providers import _moderations as moderations
from tests.fakes.openai_calls import SOUND
from tests.fakes.openai_server import CONTENT
from tests.instrumentation.conftest import MakeAsync
from tests.instrumentation.seen import said, the_operation

CANARY = "canary-7f3a"
streams_images = pytest.mark.skipif(
    "partial_images" not in inspect.signature(Images.generate).parameters,
    reason="this version of the SDK has no partial images",
)


@streams_images
@pytest.mark.parametrize(("method", "name"), [("generate", "generate_images"), ("edit", "edit_images")])
def test_partial_images_are_steps(method: str, name: str, client: openai.OpenAI, seen: Captured) -> None:
    options: Any = {"image": ("a.png", b"image")} if method == "edit" else {}
    make: Any = getattr(client.images, method)
    steps: list[tuple[int | None, int | None]] = []
    for _ in make(model="ok", prompt=CANARY, stream=True, partial_images=2, **options):
        operation = the_operation(seen)
        steps.append((operation.step, operation.total_steps))
    assert steps == [(1, 3), (2, 3), (2, 3)]
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name, operation.status) == ("image", name, Status.COMPLETED)
    assert operation.tokens is not None
    assert (operation.tokens.input, operation.tokens.output) == (7, 3)
    assert CANARY not in repr(seen.operations)


@pytest.mark.skipif(
    "usage" not in ImagesResponse.model_fields, reason="this version of the SDK knows no usage of images"
)
def test_images_in_one_piece_have_usage_and_no_steps(client: openai.OpenAI, seen: Captured) -> None:
    client.images.generate(model="ok", prompt=CANARY, n=2)
    operation = the_operation(seen)
    assert (operation.total_steps, operation.operation_type) == (None, "image")
    assert operation.tokens is not None
    assert operation.tokens.output == 3
    assert said(seen._states[0])["gen_ai.request.choice.count"] == 2


def test_speech_read_in_one_piece_is_seen(client: openai.OpenAI, seen: Captured) -> None:
    client.audio.speech.create(model="ok", input=CANARY, voice="alloy")
    operation = the_operation(seen)
    assert (operation.operation_type, operation.name, operation.status) == ("audio", "speech", Status.COMPLETED)
    assert operation.bytes


def test_speech_read_as_it_comes_is_running_until_it_has_been_read(client: openai.OpenAI, seen: Captured) -> None:
    streamed = client.audio.speech.with_streaming_response
    with streamed.create(model="ok", input=CANARY, voice="alloy") as response:
        assert the_operation(seen).status == Status.RUNNING
        size = sum(len(part) for part in response.iter_bytes())
    operation = the_operation(seen)
    assert (operation.status, operation.bytes) == (Status.COMPLETED, size)


def test_speech_that_is_not_read_to_its_end_is_closed_early(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> None:
        async with make_async() as client:
            streamed = client.audio.speech.with_streaming_response
            async with streamed.create(model="ok", input=CANARY, voice="alloy"):
                pass

    asyncio.run(run())
    operation = the_operation(seen)
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "closed early")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translations_are_seen(client: openai.OpenAI, seen: Captured) -> None:
    client.audio.translations.create(model="ok", temperature=0.5, **SOUND)
    assert the_operation(seen).name == "translation"
    assert said(seen._states[0])["gen_ai.request.temperature"] == 0.5


def test_moderations_say_which_model_judged(client: openai.OpenAI, seen: Captured) -> None:
    client.moderations.create(model="ok", input=[CANARY])
    assert the_operation(seen).name == "moderation"
    attributes = said(seen._states[0])
    assert (attributes["gen_ai.response.model"], attributes["gen_ai.response.id"]) == ("ok-0001", "modr-1")


@pytest.mark.usefixtures("capturing")
def test_the_text_of_a_transcription_is_kept_where_the_application_asks_for_it(
    client: openai.OpenAI, seen: Captured
) -> None:
    client.audio.transcriptions.create(model="ok", prompt=CANARY, **SOUND)
    assert seen._states[0].content is not None
    assert seen._states[0].content.answer() == "".join(CONTENT)


def test_what_is_asked_is_read_for_content_alone() -> None:
    assert moderations.read_prompt(input=["a", {"type": "text", "text": "b"}]).messages == [
        {"role": "user", "parts": [{"type": "text", "content": "a"}]},
        {"role": "user", "parts": [{"type": "text", "content": "b"}]},
    ]
    assert audio.read_prompt(input="say this").messages[0]["parts"][0]["content"] == "say this"
    assert audio.read_prompt().messages == []


class Event:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (Event(type="image_generation.partial_image", partial_image_index=None), 0),
        (Event(type="image_edit.partial_image", partial_image_index=1), Reading(step=2)),
        (Event(type="image_edit.completed", usage=None), Reading(is_last=True)),
        (Event(type=None), 0),
        (Event(), 0),
    ],
)
def test_odd_image_events_are_read_as_far_as_they_go(event: Event, found: int | Reading) -> None:
    assert images.read_event(event) == found


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (Event(type="transcript.text.delta", delta=None), 1),
        (Event(type="transcript.text.done", usage=Event(seconds=1)), Reading(usage=Usage(), is_last=True)),
        (Event(type="transcript.text.segment"), 0),
        (Event(type=5), 0),
    ],
)
def test_odd_transcription_events_are_read_as_far_as_they_go(event: Event, found: int | Reading) -> None:
    assert audio.read_event(event) == found
