"""The streams by which background responses are followed: one operation for each response, whichever calls see it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import openai
import pytest

import midspan
from midspan.testing import Captured
from midspan.tracking.provider_jobs import find_job
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation._body import ObservedBody
from midspan_instrumentation.jobs._following import FollowedStream, follow
from midspan_instrumentation.jobs.openai import STREAM, TABLE
from tests.fakes.openai_jobs import CREATED_AT, FIRST_WORD, WORDS, FakeJobs, Streamed, background, events, raw
from tests.instrumentation.jobs.streamed import (
    CREATED,
    EVENTS,
    HALF,
    JOB,
    LOST,
    answering,
    break_half,
    cancel,
    counted,
    endings,
    error_of,
    only,
    read,
    tokens_in_the_metrics,
)

if not hasattr(openai.OpenAI, "responses"):
    pytest.skip(f"openai {openai.__version__} has no responses", allow_module_level=True)


@pytest.fixture
def jobs() -> FakeJobs:
    return answering()


@pytest.fixture
def client(jobs: FakeJobs) -> Any:
    return jobs.client()


# What a stream feeds.


def test_the_stream_of_a_job_feeds_the_operation_of_the_call_that_began_it(client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    stream = read(client.responses.retrieve(JOB, stream=True), HALF)
    half = only(seen)
    read(stream, EVENTS - HALF)
    last = only(seen)
    assert (half.status, half.stage, counted(half)) == ("running", "streaming_response", (HALF, 2, True))
    assert (last.status, counted(last), endings(last)) == ("completed", (EVENTS, 3, False), 1)
    assert (last.tokens and last.tokens.input, tokens_in_the_metrics()) == (7, 3)
    assert last.time_to_first_chunk is None


def test_the_stream_of_a_response_that_nobody_knows_is_an_operation_of_its_own(client: Any, seen: Captured) -> None:
    stream = read(client.responses.retrieve(JOB, stream=True), HALF)
    half = only(seen)
    list(stream)
    last = only(seen)
    assert (half.operation_id, half.operation_type, half.name, half.provider, half.model) == (
        JOB, "llm_request", "chat", "openai", "gpt-5",
    )  # fmt: skip
    assert (half.status, half.created_at, counted(half)) == ("running", CREATED_AT, (HALF, 2, True))
    assert (last.status, counted(last), endings(last)) == ("completed", (EVENTS, 3, False), 1)


async def _resumed(client: openai.AsyncOpenAI, **more: Any) -> None:
    stream: Any = await client.responses.retrieve(JOB, stream=True, **more)
    async for _ in stream:
        pass


@pytest.mark.parametrize("begun", [True, False], ids=["known", "not known"])
def test_the_asynchronous_client_s_streams_are_followed_too(jobs: FakeJobs, begun: bool, seen: Captured) -> None:
    async def run() -> None:
        client = jobs.async_client()
        if begun:
            await client.responses.create(**CREATED)
        await _resumed(client)

    asyncio.run(run())
    assert (only(seen).status, counted(only(seen))) == ("completed", (EVENTS, 3, False))


def test_a_stream_that_begins_in_the_middle_opens_the_operation(client: Any, seen: Captured) -> None:
    stream = read(client.responses.retrieve(JOB, stream=True, starting_after=FIRST_WORD - 1), 1)
    first = only(seen)
    list(stream)
    assert (first.operation_id, first.stage, counted(first)) == (JOB, "streaming_response", (1, 1, True))
    assert (only(seen).status, counted(only(seen))) == ("completed", (EVENTS - FIRST_WORD, 3, False))


def test_the_stages_are_the_provider_s_words_and_that_of_the_answer(client: Any, seen: Captured) -> None:
    list(client.responses.retrieve(JOB, stream=True))
    assert only(seen).stages_completed == ("queued", "in_progress", "streaming_response")


def test_the_helper_for_streams_is_followed_too(client: Any, seen: Captured) -> None:
    with client.responses.stream(response_id=JOB, starting_after=HALF) as stream:
        assert stream.get_final_response().id == JOB
    assert (only(seen).status, counted(only(seen))) == ("completed", (EVENTS, 3, False))


def test_the_asynchronous_helper_is_followed_too(jobs: FakeJobs, seen: Captured) -> None:
    async def run() -> None:
        async with jobs.async_client().responses.stream(response_id=JOB) as stream:
            await stream.until_done()

    asyncio.run(run())
    assert (only(seen).status, counted(only(seen))) == ("completed", (EVENTS, 3, False))


def test_the_stream_of_a_raw_response_is_followed_when_it_is_made(client: Any, seen: Captured) -> None:
    raw = client.responses.with_raw_response.retrieve(JOB, stream=True)
    assert seen.operations == []
    list(raw.parse())
    assert (only(seen).status, counted(only(seen))) == ("completed", (EVENTS, 3, False))


def test_of_a_stream_that_is_read_as_bytes_the_end_is_seen(client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    with client.responses.with_streaming_response.retrieve(JOB, stream=True) as raw:
        raw.read()
    assert (only(seen).status, endings(only(seen))) == ("completed", 1)


def test_what_the_application_reads_is_what_the_sdk_gives(client: Any, seen: Captured) -> None:
    followed = list(client.responses.retrieve(JOB, stream=True))
    midspan.disable(client)
    assert followed == list(client.responses.retrieve(JOB, stream=True))


def test_streams_of_a_client_that_is_not_to_be_seen_are_not(client: Any, seen: Captured) -> None:
    midspan.disable(client)
    list(client.responses.retrieve(JOB, stream=True))
    assert seen.operations == []


@pytest.mark.usefixtures("capturing")
def test_a_preview_is_of_each_word_once(client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    read(client.responses.retrieve(JOB, stream=True), HALF).close()
    read(client.responses.retrieve(JOB, stream=True), EVENTS)
    assert only(seen).content_preview == "".join(WORDS)


# How a stream ends, and that the job goes on.


def _is_lost(client: Any) -> None:
    with pytest.raises(LOST):
        list(client.responses.retrieve(JOB, stream=True))


def _raises(client: Any) -> None:
    with contextlib.suppress(KeyboardInterrupt), client.responses.retrieve(JOB, stream=True) as stream:
        read(stream, HALF)
        raise KeyboardInterrupt


def _drops(client: Any) -> None:
    read(client.responses.retrieve(JOB, stream=True), HALF)
    gc.collect()


def _ends_early(client: Any) -> None:
    list(client.responses.retrieve(JOB, stream=True))


LEFT: list[tuple[Callable[[Any], None], Streamed]] = [
    (break_half, Streamed(events())),
    (_raises, Streamed(events())),
    (_drops, Streamed(events())),
    (_ends_early, Streamed(events(), until=HALF)),
    (_is_lost, Streamed(events(), until=HALF, lost=True)),
]


@pytest.fixture(params=LEFT, ids=lambda value: value[0].__name__.strip("_"))
def leave(request: pytest.FixtureRequest, jobs: FakeJobs) -> Iterator[Callable[[Any], None]]:
    """Reads half of a stream, and no more of it."""
    read_half, answer = request.param
    jobs.tell("GET", f"/responses/{JOB}", answer)
    return read_half


@pytest.mark.parametrize("begun", [True, False], ids=["known", "not known"])
def test_a_job_goes_on_when_its_stream_is_left(
    jobs: FakeJobs, client: Any, seen: Captured, leave: Callable[[Any], None], begun: bool
) -> None:
    if begun:
        client.responses.create(**CREATED)
    leave(client)
    going = only(seen)
    jobs.tell("GET", f"/responses/{JOB}", Streamed(events()))
    list(client.responses.retrieve(JOB, stream=True, starting_after=HALF - 1))
    last = only(seen)
    assert (going.status, counted(going), endings(going)) == ("running", (HALF, 2, True), 0)
    assert (last.status, counted(last), endings(last)) == ("completed", (EVENTS, 3, False), 1)
    assert tokens_in_the_metrics() == 3


def test_a_job_whose_stream_was_left_ends_by_a_look_at_it(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    break_half(client)
    assert only(seen).stage == "in_progress"
    jobs.tell("GET", f"/responses/{JOB}", background("failed", error={"code": "server_error", "message": "m"}))
    client.responses.retrieve(JOB)
    assert (only(seen).status, error_of(only(seen))) == ("failed", "server_error")


def test_a_job_whose_stream_was_left_before_its_answer_is_queued_again(client: Any, seen: Captured) -> None:
    read(client.responses.retrieve(JOB, stream=True), 2).close()
    assert only(seen).stage == "queued"


def test_a_job_that_has_ended_and_is_forgotten_is_not_opened_by_closing_its_stream(
    jobs: FakeJobs, client: Any, seen: Captured
) -> None:
    stream = read(client.responses.retrieve(JOB, stream=True), HALF)
    client.responses.cancel(JOB)
    known = find_job("openai", JOB)
    assert known is not None
    get_progress_registry().known_jobs.forget("openai", JOB, cast("Any", known))
    stream.close()
    assert only(seen).status == "cancelled"


def test_events_that_come_again_are_not_counted_again(client: Any, seen: Captured) -> None:
    read(client.responses.retrieve(JOB, stream=True), HALF).close()
    stream = read(client.responses.retrieve(JOB, stream=True), HALF)
    assert counted(only(seen)) == (HALF, 2, True)
    read(stream, 1)
    assert counted(only(seen)) == (HALF + 1, 3, True)


def test_streams_that_are_read_at_once_are_counted_as_one(client: Any, seen: Captured) -> None:
    first = read(client.responses.retrieve(JOB, stream=True), HALF)
    second = read(client.responses.retrieve(JOB, stream=True), HALF + 1)
    first.close()
    read(second, 1)
    going = only(seen)
    list(second)
    assert (going.stage, counted(going)) == ("streaming_response", (HALF + 2, 3, True))
    assert counted(only(seen)) == (EVENTS, 3, False)


def test_events_without_a_number_are_known_by_their_place(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    unnumbered = [{**event, "sequence_number": None} for event in events()]
    jobs.tell("GET", f"/responses/{JOB}", Streamed(unnumbered))
    read(client.responses.retrieve(JOB, stream=True), HALF).close()
    read(client.responses.retrieve(JOB, stream=True, starting_after=HALF - 2), 1).close()
    assert counted(only(seen)) == (HALF, 2, True)
    read(client.responses.retrieve(JOB, stream=True), HALF + 1)
    assert counted(only(seen)) == (HALF + 1, 3, True)


def test_the_bytes_of_each_stream_are_counted(client: Any, seen: Captured) -> None:
    sizes = [len(raw(event)) for event in events()]
    read(client.responses.retrieve(JOB, stream=True), HALF).close()
    assert only(seen).bytes == sum(sizes[:HALF])
    list(client.responses.retrieve(JOB, stream=True, starting_after=HALF - 2))
    assert only(seen).bytes == sum(sizes) + sizes[HALF - 1]


def test_the_end_of_a_body_is_not_that_of_the_events_in_it(client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    watch = FollowedStream(TABLE, STREAM, client, JOB, -1)
    watch.follow(iter(()))
    watch.received(raw(events()[-1]))
    watch.body_read()
    assert only(seen).status == "running"


def test_a_body_that_another_call_watches_is_left_to_that_one() -> None:
    observed, iterator = ObservedBody(), iter(())
    observed.midspan_watch = watch = FollowedStream(TABLE, STREAM, None, JOB, -1)
    answer = SimpleNamespace(response=SimpleNamespace(stream=observed), _iterator=iterator)
    follow(watch, answer, is_async=False)
    assert (answer.response.stream, answer._iterator) == (observed, iterator)


def test_a_stream_over_another_http_library_is_followed_without_its_bytes(client: Any, seen: Captured) -> None:
    answer = SimpleNamespace(_iterator=iter([SimpleNamespace(type="response.output_text.delta", sequence_number=9)]))
    follow(FollowedStream(TABLE, STREAM, client, JOB, 8), answer, is_async=False)
    list(answer._iterator)
    assert (only(seen).status, counted(only(seen))) == ("running", (1, 1, True))


def test_a_stream_of_a_response_that_has_ended_adds_nothing(client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    list(client.responses.retrieve(JOB, stream=True))
    list(client.responses.retrieve(JOB, stream=True))
    assert (counted(only(seen)), tokens_in_the_metrics()) == ((EVENTS, 3, False), 3)


@pytest.mark.parametrize(
    ("status", "more", "ends"),
    [
        ("failed", {"error": {"code": "server_error", "message": "m"}}, "failed"),
        ("incomplete", {}, "completed"),
    ],
)
def test_the_last_event_says_how_the_job_has_ended(
    jobs: FakeJobs, client: Any, seen: Captured, status: str, more: Any, ends: str
) -> None:
    jobs.tell("GET", f"/responses/{JOB}", Streamed(events(status, completed_at=CREATED_AT + 90, **more)))
    list(client.responses.retrieve(JOB, stream=True))
    assert (only(seen).status, only(seen).ended_at) == (ends, CREATED_AT + 90)


@pytest.mark.parametrize("answer", [(429, {}), (500, {}), (401, {})], ids=lambda value: str(value[0]))
def test_a_refused_stream_says_nothing_about_the_job(jobs: FakeJobs, client: Any, seen: Captured, answer: Any) -> None:
    jobs.tell("GET", f"/responses/{JOB}", answer)
    with pytest.raises(openai.APIStatusError):
        client.responses.retrieve(JOB, stream=True)
    assert seen.operations == []
    client.responses.create(**CREATED)
    with pytest.raises(openai.APIStatusError):
        client.responses.retrieve(JOB, stream=True)
    assert only(seen).status == "running"


def test_a_stream_of_a_job_that_the_provider_knows_no_more_ends_it(jobs: FakeJobs, client: Any, seen: Captured) -> None:
    client.responses.create(**CREATED)
    jobs.tell("GET", f"/responses/{JOB}")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(JOB, stream=True)
    assert (only(seen).status, error_of(only(seen))) == ("failed", "openai.NotFoundError")


def test_a_stream_that_is_never_read_says_nothing(client: Any, seen: Captured) -> None:
    client.responses.retrieve(JOB, stream=True).close()
    assert seen.operations == []


def test_a_job_goes_on_when_the_task_that_reads_its_stream_is_cancelled(jobs: FakeJobs, seen: Captured) -> None:
    jobs.tell("GET", f"/responses/{JOB}", Streamed(events(), until=HALF, hangs=True))
    client = jobs.async_client()
    asyncio.run(cancel(client, lambda: client.responses.retrieve(JOB, stream=True), HALF))
    assert (only(seen).status, only(seen).stage, endings(only(seen))) == ("running", "in_progress", 0)
