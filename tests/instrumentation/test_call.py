"""One call is one operation, and the application cannot tell."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import nullcontext
from typing import Any

import openai
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

import midspan_instrumentation as instrumentation
from midspan.core import failures
from midspan.core.operation import Status, Tokens
from midspan.testing import Captured
from midspan.tracking import instrumenting
from midspan.tracking.switches import disable, disabled
from midspan_instrumentation import _call
from midspan_instrumentation._call import _kind, current_call, wrap_call
from midspan_instrumentation.provider import Provider, Reading, Request, Server, Target
from tests.fakes.openai_calls import ANSWERS, STREAMS
from tests.fakes.openai_server import FakeOpenAI
from tests.instrumentation.conftest import MakeAsync
from tests.instrumentation.seen import said

MESSAGES: Any = [{"role": "user", "content": "Does it work?"}]
STREAM = next(case for case in STREAMS if case.name == "chat.stream")
TOKENS = Tokens(input=7, output=3, reasoning=1, cached=2)
ASKED = "connecting_to_model", "sending_request", "waiting_first_chunk"
"""The stages until something of the answer is there."""


def ask(client: openai.OpenAI, model: str = "ok", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **more)


def test_a_call_goes_through_its_stages_and_keeps_the_servers_usage(client: openai.OpenAI, seen: Captured) -> None:
    ask(client)
    (operation,) = seen.operations
    assert operation.stages_completed == (*ASKED, "processing_response")
    assert (
        operation.operation_type,
        operation.name,
        operation.provider,
        operation.model,
    ) == ("llm_request", "chat", "openai", "ok")
    assert operation.tokens == TOKENS
    assert (operation.bytes or 0) > 100


def test_a_streamed_call_goes_through_its_stages(client: openai.OpenAI, seen: Captured) -> None:
    for _ in ask(client, stream=True):
        pass
    (operation,) = seen.operations
    assert operation.stages_completed == (*ASKED, "streaming_response", "processing_response")
    assert operation.time_to_first_chunk is not None


def test_the_application_gets_the_sdks_own_objects(client: openai.OpenAI, seen: Captured) -> None:
    with disabled(), ask(client, stream=True) as stream:
        bare = set(vars(stream))
    with ask(client, stream=True) as stream:
        assert openai.Stream is type(stream)
        assert bare == set(vars(stream))
    assert type(ask(client)).__name__ == "ChatCompletion"
    assert [o.status for o in seen.operations] == [Status.CANCELLED, Status.COMPLETED]


def test_a_suppressed_call_is_not_seen(client: openai.OpenAI, seen: Captured) -> None:
    with suppress_instrumentation():
        ask(client)
    with disabled():
        [*ask(client, stream=True)]
    disable(client)
    ask(client)
    assert seen.operations == []


def test_a_suppressed_async_call_is_not_seen(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> None:
        async with make_async() as client:
            with disabled():
                await client.embeddings.create(model="ok", input="x")

    asyncio.run(run())
    assert seen.operations == []


def test_wrong_arguments_raise_what_the_sdk_raises_when_it_raises(make_async: MakeAsync, seen: Captured) -> None:
    """An async method refuses them at the call, before the await."""

    async def run() -> None:
        async with make_async() as client:
            with pytest.raises(TypeError, match="Missing required arguments"):
                client.chat.completions.create(model="ok")  # type: ignore[call-overload]

    asyncio.run(run())
    assert seen.operations == []


def test_what_the_sdk_says_of_its_methods_stays_true(client: openai.OpenAI, make_async: MakeAsync) -> None:
    methods = [
        *(case.method_of(client) for case in ANSWERS),
        *(case.method_of(openai.AsyncOpenAI(api_key="x")) for case in ANSWERS),
    ]

    def described() -> list[object]:
        return [(inspect.signature(m), inspect.iscoroutinefunction(m), m.__name__, m.__doc__) for m in methods]

    before = described()
    instrumentation.apply()
    try:
        assert before == described()
    finally:
        instrumentation.undo()


def test_the_call_is_current_only_while_the_sdks_method_runs(client: openai.OpenAI, seen: Captured) -> None:
    with ask(client, stream=True) as stream:
        assert current_call.get() is None
        next(stream)
        assert current_call.get() is None
    with pytest.raises(openai.BadRequestError):
        ask(client, "refused")
    assert current_call.get() is None


def test_calls_of_several_tasks_at_once_are_several_operations(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> None:
        async with make_async() as client:

            async def one(model: str) -> None:
                stream = await client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
                async for _ in stream:
                    pass

            await asyncio.gather(*(one(model) for model in ("ok", "limited", "ok")))

    asyncio.run(run())
    assert sorted(str(o.model) for o in seen.operations) == ["limited", "ok", "ok"]
    assert {Status.COMPLETED} == {o.status for o in seen.operations}


def test_a_coroutine_that_is_never_awaited_is_no_operation(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> None:
        async with make_async() as client:
            manager = STREAM.call(client, "ok")
            call = vars(manager)["_AsyncChatCompletionStreamManager__api_request"]
            call.cr_frame.f_locals["awaitable"].close()
            call.close()

    asyncio.run(run())
    assert seen.operations == []


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("broken", ["start_call", "suppressed", "attached"])
def test_a_failure_of_midspan_changes_nothing_for_the_application(
    broken: str,
    client: openai.OpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(instrumenting, broken, fail)
    assert ask(client).choices[0].message.content == "It works."
    assert len([*ask(client, stream=True)]) == 5
    assert sum(failures.counts().values()) == 2


def test_a_response_reader_that_fails_is_reported_and_the_call_completes(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from midspan_instrumentation.providers import _chat_completions as readers

    def fail(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(readers, "read_usage", fail)
    assert ask(client).choices[0].message.content == "It works."
    assert failures.counts() == {"response reader": 1}
    assert [o.status for o in seen.operations] == [Status.COMPLETED]


def test_a_raw_response_keeps_headers_and_parses_and_its_usage_is_known(client: openai.OpenAI, seen: Captured) -> None:
    raw = client.chat.completions.with_raw_response.create(model="ok", messages=MESSAGES)
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content == "It works."
    assert raw.parse() is raw.parse()
    (operation,) = seen.operations
    assert (operation.status, operation.tokens) == (Status.COMPLETED, TOKENS)


def test_a_raw_stream_is_counted_from_the_parse_on(client: openai.OpenAI, seen: Captured) -> None:
    raw = client.chat.completions.with_raw_response.create(model="ok", messages=MESSAGES, stream=True)
    assert raw.headers["content-type"] == "text/event-stream"
    assert len([*raw.parse()]) == 5
    (operation,) = seen.operations
    assert (
        operation.status,
        operation.chunks,
        operation.tokens and operation.tokens.output,
    ) == (Status.COMPLETED, 5, 3)


def test_a_streaming_response_is_handed_over_unread(client: openai.OpenAI, seen: Captured) -> None:
    with client.chat.completions.with_streaming_response.create(model="ok", messages=MESSAGES) as response:
        assert response.http_response.num_bytes_downloaded == 0
        assert [o.status for o in seen.operations] == [Status.RUNNING]
        assert response.parse().choices[0].message.content == "It works."
    (operation,) = seen.operations
    assert (operation.status, operation.chunks or 0) == (Status.COMPLETED, 0)


def test_a_streaming_response_left_unread_is_cancelled(client: openai.OpenAI, seen: Captured) -> None:
    with client.chat.completions.with_streaming_response.create(model="ok", messages=MESSAGES):
        pass
    (operation,) = seen.operations
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "closed early")


def test_lines_read_by_hand_up_to_the_end_mark_are_a_completed_stream(client: openai.OpenAI, seen: Captured) -> None:
    with client.chat.completions.with_streaming_response.create(model="ok", messages=MESSAGES, stream=True) as response:
        for line in response.iter_lines():
            if line == "data: [DONE]":
                break
    assert [o.status for o in seen.operations] == [Status.COMPLETED]


def test_a_method_of_the_sdk_that_calls_another_one_is_one_operation(seen: Captured) -> None:
    """As `parse` called `create` in openai 1.40."""
    target = Target("sdk", "ask", "chat", lambda *_, **__: Request(), lambda _: Reading())
    wrapper = wrap_call(Provider("sdk", (target,)), target)

    def inner() -> str:
        return "answer"

    def outer() -> object:
        return wrapper(inner, None, (), {})

    assert wrapper(outer, None, (), {}) == "answer"
    assert len(seen.operations) == 1


def test_switching_on_twice_makes_one_operation_a_call(client: openai.OpenAI, seen: Captured) -> None:
    instrumentation.apply()
    ask(client)
    assert len(seen.operations) == 1


@pytest.mark.parametrize("kind", ["with_raw_response", "with_streaming_response"])
def test_methods_that_the_sdk_has_cached_go_inert(kind: str, client: openai.OpenAI, seen: Captured) -> None:
    """`with_raw_response` keeps bound methods for as long as the client lives."""
    cached = getattr(client.chat.completions, kind)
    kept = client.chat.completions.create
    instrumentation.undo()
    assert kept(model="ok", messages=MESSAGES).choices
    opened = cached.create(model="ok", messages=MESSAGES)
    with opened if kind == "with_streaming_response" else nullcontext(opened) as response:
        assert response.parse().choices
    assert seen.operations == []


def test_a_stream_that_is_open_at_the_switching_off_is_seen_to_its_end(client: openai.OpenAI, seen: Captured) -> None:
    with ask(client, stream=True) as stream:
        next(stream)
        instrumentation.undo()
        assert len([*stream]) == 4
    (operation,) = seen.operations
    assert (operation.status, operation.chunks) == (Status.COMPLETED, 5)


BASE_URLS = (
    "http://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/api/v1/",
    "http://127.1:{port}/v1",
)


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_any_base_url_is_seen(base_url: str, client: openai.OpenAI, server: FakeOpenAI, seen: Captured) -> None:
    elsewhere = client.with_options(base_url=base_url.format(port=server.port))
    ask(elsewhere)
    list(ask(elsewhere, stream=True))
    assert [(o.status, o.bytes is not None) for o in seen.operations] == [(Status.COMPLETED, True)] * 2


def test_calls_of_one_kind_share_what_they_have_in_common(client: openai.OpenAI, seen: Captured) -> None:
    first, second = (instrumenting.start_call(_kind("chat", "llm_request", "p", "m", Server("h", 1))) for _ in range(2))
    assert said(first.state) == said(second.state)
    first.set_attributes({"gen_ai.response.id": "r"})
    assert "gen_ai.response.id" not in said(second.state)
    for call in (first, second):
        call.complete()


def test_of_ever_new_models_a_bounded_number_is_remembered(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_call, "MAX_KINDS", 2)
    monkeypatch.setattr(_call, "_kinds", {})
    for number in range(4):
        ask(client, f"m-{number}")
        ask(client, f"m-{number}")
    assert len(_call._kinds) == 2
    assert [operation.model for operation in seen.operations] == [f"m-{number // 2}" for number in range(8)]
