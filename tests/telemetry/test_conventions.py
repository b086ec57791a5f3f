"""The spans of real calls against a table of our own: every name, kind, attribute and type of the GenAI conventions.

The table is that of `gen-ai-spans.md` as of 1.42.0-dev, with what midspan adds under its own prefix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from midspan.tracking.tracker import get_progress_registry
from tests.endings.reading import until
from tests.endings.seen import Seen, instrumented
from tests.fakes import openai_calls
from tests.fakes.openai_calls import MESSAGES, Case, async_client, sync_client
from tests.fakes.openai_server import FakeOpenAI

ALWAYS = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.model": str,
    "server.address": str,
    "server.port": int,
    "midspan.operation.id": str,
    "midspan.operation.type": str,
    "midspan.operation.status": str,
}
ASKED = {
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_p": float,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.seed": int,
    "gen_ai.request.stop_sequences": tuple,
    "gen_ai.request.choice.count": int,
    "gen_ai.request.encoding_formats": tuple,
    "gen_ai.embeddings.dimension.count": int,
    "gen_ai.output.type": str,
    "gen_ai.request.reasoning.level": str,
    "gen_ai.conversation.id": str,
}
ANSWERED = {
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.finish_reasons": tuple,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
}
STREAMED = {
    "gen_ai.request.stream": bool,
    "gen_ai.response.time_to_first_chunk": float,
    "midspan.chunk.count": int,
}
FAILED = {"error.type": str}
UNFINISHED = {"midspan.stage": str}
TABLE: dict[str, type] = {**ALWAYS, **ASKED, **ANSWERED, **STREAMED, **FAILED, **UNFINISHED}
NAMES = {"chat": "chat", "completions": "text_completion", "responses": "chat", "embeddings": "embeddings"}

# For images, sound and moderations the conventions have no names.
ANSWERS, STREAMS = (
    [case for case in cases if case.name.partition(".")[0] in NAMES]
    for cases in (openai_calls.ANSWERS, openai_calls.STREAMS)
)
TARGETS = [*ANSWERS, *STREAMS]
EVERYTHING: dict[str, Any] = {
    "max_tokens": 5,
    "temperature": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 1,
    "seed": 3,
    "stop": "end",
    "n": 2,
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def use(case: Case, client: openai.OpenAI, model: str, leave: bool = False, **more: Any) -> None:
    """Make the call, and read its answer to its end, or leave it after the first chunk."""
    with suppress(openai.OpenAIError):
        result = case.call(client, model, **more)
        if case in STREAMS:
            with result as stream:
                for _ in stream:
                    if leave:
                        break


def span_of(seen: Seen) -> ReadableSpan:
    """The one span, which holds nothing beyond the table and nothing of another type."""
    (span,) = seen.exporter.get_finished_spans()
    for name, value in (span.attributes or {}).items():
        assert isinstance(value, TABLE[name]), name
        assert not isinstance(value, bool) or TABLE[name] is bool, name
        assert not isinstance(value, tuple) or all(isinstance(each, str) for each in value), name
    return span


def called(case: Case, server: FakeOpenAI, model: str = "ok", **more: Any) -> ReadableSpan:
    with instrumented() as seen, sync_client(server.base_url) as client:
        use(case, client, model, **more)
        return span_of(seen)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def is_operation(span: ReadableSpan, case: Case, model: str, status: str) -> bool:
    """The names that every span of a call has."""
    operation, found = NAMES[case.name.partition(".")[0]], attributes(span)
    kind = "embedding" if operation == "embeddings" else "llm_request"
    wanted = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "server.address": "127.0.0.1",
        "midspan.operation.type": kind,
        "midspan.operation.status": status,
    }
    assert set(ALWAYS) <= set(found)
    assert (found.get("gen_ai.request.stream") is True) == (case in STREAMS)
    return (span.name, span.kind) == (f"{operation} {model}", SpanKind.CLIENT) and wanted.items() <= found.items()


@pytest.mark.parametrize("case", TARGETS, ids=lambda case: f"{case}-{'stream' if case in STREAMS else 'answer'}")
def test_a_completed_call_is_named_and_described_as_the_conventions_say(case: Case, server: FakeOpenAI) -> None:
    span = called(case, server)
    assert is_operation(span, case, "ok", "completed")
    assert (span.status.status_code, span.status.description) == (StatusCode.UNSET, None)
    found = attributes(span)
    assert not {*FAILED, *UNFINISHED} & set(found)
    assert found["gen_ai.response.model"] == "ok-0001"
    if case in STREAMS:
        assert set(STREAMED) <= set(found)
        assert found["gen_ai.response.time_to_first_chunk"] >= 0.0
    else:
        assert not set(STREAMED) & set(found)
        assert found["gen_ai.usage.input_tokens"] == 7


@pytest.mark.parametrize("case", TARGETS, ids=lambda case: f"{case}-{'stream' if case in STREAMS else 'answer'}")
def test_a_refused_call_is_an_error_with_its_type_on_span_and_operation_alike(case: Case, server: FakeOpenAI) -> None:
    span = called(case, server, "refused")
    assert is_operation(span, case, "refused", "failed")
    assert span.status.status_code is StatusCode.ERROR
    found = attributes(span)
    assert found["error.type"] == "openai.BadRequestError"
    assert not set(ANSWERED) & set(found)
    (operation,) = get_progress_registry().operations()
    assert operation.error is not None
    assert operation.error.type == found["error.type"]


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_left_early_is_cancelled_and_no_error(case: Case, server: FakeOpenAI) -> None:
    span = called(case, server, leave=True)
    assert is_operation(span, case, "ok", "cancelled")
    assert span.status.status_code is StatusCode.UNSET
    found = attributes(span)
    assert "error.type" not in found
    assert not [name for name in found if name.startswith("gen_ai.usage.")]
    assert found["midspan.stage"] == "streaming_response"


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_cancelled_task_is_cancelled_and_no_error(case: Case, server: FakeOpenAI) -> None:
    async def run() -> None:
        async with async_client(server.base_url) as client:
            task = asyncio.ensure_future(case.call(client, "silent"))
            await until(lambda: seen.has_stage("waiting_first_chunk"))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    with instrumented() as seen:
        asyncio.run(run())
        span = span_of(seen)
    assert is_operation(span, case, "silent", "cancelled")
    assert span.status.status_code is StatusCode.UNSET
    assert not {*FAILED, *ANSWERED} & set(attributes(span))


def test_everything_that_was_asked_for_has_the_type_of_the_conventions(server: FakeOpenAI) -> None:
    case = Case("openai", "chat.create", "chat.completions.create", (("messages", MESSAGES),))
    found = attributes(called(case, server, **EVERYTHING))
    assert {name: found[name] for name in found if name in ASKED} == {
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.request.presence_penalty": 1.0,
        "gen_ai.request.seed": 3,
        "gen_ai.request.stop_sequences": ("end",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
        "gen_ai.request.reasoning.level": "low",
    }


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"conversation": "conv_1"}, {"gen_ai.conversation.id": "conv_1"}),
        ({"conversation": {"id": "conv_2"}}, {"gen_ai.conversation.id": "conv_2"}),
        ({"reasoning": {"effort": "high"}}, {"gen_ai.request.reasoning.level": "high"}),
        ({"text": {"format": {"type": "text"}}}, {"gen_ai.output.type": "text"}),
        ({"text": {"format": {"type": "json_object"}}}, {"gen_ai.output.type": "json"}),
        ({"text": {"verbosity": "low"}, "temperature": 1}, {"gen_ai.request.temperature": 1.0}),
    ],
)
def test_a_response_says_what_was_asked_for_in_the_words_of_the_conventions(
    asked: dict[str, Any], wanted: dict[str, Any], server: FakeOpenAI
) -> None:
    case = next(case for case in ANSWERS if case.name == "responses.create")
    found = attributes(called(case, server, **asked))
    assert {name: found[name] for name in found if name in ASKED} == wanted


@pytest.mark.parametrize("case", [case for case in ANSWERS if case.name.endswith("parse")], ids=str)
def test_an_answer_by_a_schema_is_json(case: Case, server: FakeOpenAI) -> None:
    assert attributes(called(case, server))["gen_ai.output.type"] == "json"


def test_embeddings_say_how_many_dimensions_in_which_form(server: FakeOpenAI) -> None:
    case = next(case for case in ANSWERS if case.name == "embeddings.create")
    found = attributes(called(case, server, dimensions=2, encoding_format="float"))
    assert (found["gen_ai.embeddings.dimension.count"], found["gen_ai.request.encoding_formats"]) == (2, ("float",))


def test_an_error_inside_a_stream_has_the_servers_own_type(server: FakeOpenAI) -> None:
    case = next(case for case in STREAMS if case.name == "responses.create")
    span = called(case, server, "failing")
    assert is_operation(span, case, "failing", "failed")
    assert attributes(span)["error.type"] == "server_error"


@pytest.mark.parametrize(
    ("end", "status"),
    [(None, "completed"), (ValueError("no"), "failed"), (asyncio.CancelledError(), "cancelled")],
    ids=["completed", "failed", "cancelled"],
)
def test_a_manual_operation_is_internal_whatever_its_type(end: BaseException | None, status: str) -> None:
    with instrumented() as seen:
        tracker = get_progress_registry().create_tracker(None, "llm_request", name="summarise", model="m")
        tracker.end_with(end)
        (span,) = seen.exporter.get_finished_spans()
    found = attributes(span)
    assert (span.name, span.kind) == ("summarise", SpanKind.INTERNAL)
    assert (found["midspan.operation.name"], found["midspan.operation.status"]) == ("summarise", status)
    assert found.get("error.type") == ("ValueError" if status == "failed" else None)
    assert "gen_ai.operation.name" not in found
