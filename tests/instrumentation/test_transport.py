"""At the HTTP client: spans, attempts, bodies, and what is not ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.core.operation import Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disabled
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation._body import observe
from tests.fakes.openai_calls import http
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.sdk import NO_TLS
from tests.instrumentation.conftest import MakeAsync

MESSAGES: Any = [{"role": "user", "content": "Does it work?"}]


def ask(client: openai.OpenAI, model: str = "ok", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **more)


@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_is_a_further_attempt_of_the_same_call(stream: bool, client: openai.OpenAI, seen: Captured) -> None:
    result = ask(client, "flaky", stream=stream)
    if stream:
        list(result)
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)
    assert "retrying" in operation.stages_completed


def test_an_async_retry_is_a_further_attempt_of_the_same_call(make_async: MakeAsync, seen: Captured) -> None:
    async def run() -> None:
        async with make_async() as client:
            await client.embeddings.create(model="flaky", input="x")

    asyncio.run(run())
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)


def test_a_call_that_reaches_nobody_fails_with_all_its_attempts(seen: Captured) -> None:
    own = openai.DefaultHttpxClient(verify=NO_TLS, transport=http.MockTransport(_unreachable))
    url = "http://127.0.0.1:9/v1"
    with openai.OpenAI(api_key="x", base_url=url, max_retries=1, http_client=own) as client:
        client._calculate_retry_timeout = lambda *_, **__: 0.0  # type: ignore[method-assign]
        with pytest.raises(openai.APIConnectionError):
            ask(client)
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.FAILED, 2)


def _unreachable(request: http.Request) -> http.Response:
    raise http.ConnectError("nobody there", request=request)


def test_the_span_is_current_around_the_send_only(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[str] = []
    noticed: list[list[str]] = []

    @contextmanager
    def attach(state: State) -> Iterator[None]:
        current.append(state.operation_id)
        yield
        current.pop()

    monkeypatch.setattr(get_progress_registry(), "attach", attach)
    client._client.event_hooks["request"].append(lambda _: noticed.append([*current]))
    with ask(client, stream=True) as stream:
        assert current == []
        next(stream)
        assert current == []
    assert [[seen.operations[0].operation_id]] == noticed


def test_a_request_made_by_an_event_hook_is_not_taken_for_the_calls(
    client: openai.OpenAI, seen: Captured, server: FakeOpenAI
) -> None:
    other = http.Client(verify=NO_TLS)

    def hook(_: http.Request) -> None:
        other.post(f"{server.base_url}/embeddings", json={"model": "ok", "input": "x"})

    client._client.event_hooks["request"].append(hook)
    with other:
        ask(client)
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 1)


def test_a_call_made_by_an_event_hook_is_an_operation_of_its_own(client: openai.OpenAI, seen: Captured) -> None:
    def hook(request: http.Request) -> None:
        if request.url.path.endswith("/chat/completions"):
            client.embeddings.create(model="ok", input="x")

    client._client.event_hooks["request"].append(hook)
    ask(client)
    assert [operation.name for operation in seen.operations] == ["chat", "embeddings"]
    assert {operation.status for operation in seen.operations} == {Status.COMPLETED}


def test_a_request_to_another_host_is_not_the_calls(server: FakeOpenAI, seen: Captured) -> None:
    """SDKs fetch credentials inside the call."""
    elsewhere = http.MockTransport(lambda _: http.Response(200, json={"token": "x"}))

    class Client(openai.OpenAI):
        def _prepare_options(self, options: Any) -> Any:
            with http.Client(transport=elsewhere, verify=NO_TLS) as client:
                client.get("http://login.example/token")
            return super()._prepare_options(options)

    own = openai.DefaultHttpxClient(verify=NO_TLS)
    with Client(api_key="x", base_url=server.base_url, http_client=own) as client:
        ask(client)
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 1)


def test_an_http_client_without_a_call_is_left_alone(server: FakeOpenAI, seen: Captured) -> None:
    body = {"model": "ok", "messages": MESSAGES, "stream": True}
    url = f"{server.base_url}/chat/completions"
    with http.Client(verify=NO_TLS) as client, client.stream("POST", url, json=body) as answer:
        assert type(answer.stream).__name__ == "BoundSyncStream"
        answer.read()
    assert seen.operations == []


def test_the_observed_body_is_still_what_the_http_client_made_it(client: openai.OpenAI, seen: Captured) -> None:
    with disabled(), ask(client, stream=True) as stream:
        made = type(stream.response.stream)
    with ask(client, stream=True) as stream:
        body = stream.response.stream
        assert isinstance(body, made)
        list(stream)
    assert stream.response.elapsed.total_seconds() > 0
    assert len(seen.operations) == 1


def test_nothing_is_read_ahead_and_every_byte_is_counted(
    client: openai.OpenAI, seen: Captured, server: FakeOpenAI
) -> None:
    stream = ask(client, "gated", stream=True)
    assert stream.response.num_bytes_downloaded == 0
    server.gate.release(6)
    list(stream)
    (operation,) = seen.operations
    assert stream.response.num_bytes_downloaded == operation.bytes


def test_the_http_client_is_never_patched_for_no_provider() -> None:
    bare = vars(http.Client)["send"]
    instrumentation.apply([])
    assert vars(http.Client)["send"] is bare


class Told:
    """A watch that writes down what it is told."""

    def __init__(self) -> None:
        self.of: list[object] = []

    def received(self, part: bytes) -> None:
        self.of.append(part)

    def body_read(self) -> None:
        self.of.append("read")

    def body_raised(self, error: BaseException) -> None:
        self.of.append(type(error))

    def body_closed(self, during: type[BaseException] | None) -> None:
        self.of.append(("closed", during))

    def body_dropped(self) -> None:
        self.of.append("dropped")


class Body(http.SyncByteStream):
    extra = "its own"

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        if self.fails:
            raise OSError("gone")

    def close(self) -> None:
        self.closed = True


class AsyncBody(http.AsyncByteStream):
    generator_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            AsyncBody.generator_closed = True

    async def aclose(self) -> None:
        return None


def test_a_body_tells_that_it_was_read_closed_and_dropped() -> None:
    told, body = Told(), Body()
    observed: Any = observe(body, told, is_async=False)
    assert [*observed] == [b"one"]
    observed.close()
    assert (body.closed, observed.closed, observed.extra) == (True, True, "its own")
    del observed
    assert told.of == [b"one", "read", ("closed", None), "dropped"]


def test_a_body_tells_that_reading_it_failed_and_raises_the_same() -> None:
    told = Told()
    observed: Any = observe(Body(fails=True), told, is_async=False)
    with pytest.raises(OSError, match="gone"):
        list(observed)
    assert [b"one", OSError] == told.of


def test_a_body_tells_what_was_going_on_when_it_was_closed() -> None:
    told = Told()
    observed: Any = observe(Body(), told, is_async=False)
    try:
        raise KeyError
    except KeyError:
        observed.close()
    assert [("closed", KeyError)] == told.of


def test_an_async_body_left_early_closes_what_it_reads_from() -> None:
    told = Told()

    async def run() -> None:
        observed: Any = observe(AsyncBody(), told, is_async=True)
        parts = aiter(observed)
        await anext(parts)
        await parts.aclose()
        assert AsyncBody.generator_closed
        await observed.aclose()

    asyncio.run(run())
    assert [b"one", GeneratorExit, ("closed", None)] == told.of[:3]


def test_one_class_is_made_for_each_class_of_bodies() -> None:
    first, second = (observe(Body(), Told(), is_async=False) for _ in range(2))
    assert type(first) is type(second)
    assert isinstance(first, Body)


def test_the_context_manager_of_the_span_never_sees_the_applications_exception(
    client: openai.OpenAI, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[object] = []

    class Scope(AbstractContextManager[None]):
        def __exit__(self, *error: object) -> None:
            left.append(error)

    monkeypatch.setattr(get_progress_registry(), "attach", lambda _: Scope())
    client._client._transport = http.MockTransport(_unreachable)  # type: ignore[attr-defined]
    with pytest.raises(openai.APIConnectionError):
        ask(client.with_options(max_retries=0))
    assert left == [(None, None, None)]
    assert [operation.status for operation in seen.operations] == [Status.FAILED]
