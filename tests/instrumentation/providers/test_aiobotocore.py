"""What is seen of Bedrock's asynchronous clients, over both of their transports, beside what the endings show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from aiobotocore import httpsession, response
from aiobotocore.httpxsession import HttpxSession

from midspan.core.operation import Status
from midspan.core.state import State
from midspan.testing import Captured
from midspan.tracking.switches import disable
from midspan.tracking.tracker import get_progress_registry
from tests.fakes import aiobotocore_calls as calls
from tests.fakes.bedrock_server import FakeBedrock
from tests.fakes.botocore_calls import CLAUDE, MESSAGES
from tests.fakes.other_jobs import ARN, Answers
from tests.fakes.serving import CONTENT
from tests.instrumentation.seen import Told, the_operation

Do = Callable[[Any], Awaitable[Any]]
OVER_HTTPX = pytest.mark.skipif(
    find_spec("aiobotocore._httpx") is None, reason="aiobotocore 2 goes over httpx, and here is httpx2"
)
SESSIONS = [httpsession.AIOHTTPSession, pytest.param(HttpxSession, marks=OVER_HTTPX)]
every_session = pytest.mark.parametrize("session", SESSIONS, ids=["aiohttp", "httpx"])


@pytest.fixture(scope="module")
def server() -> Iterator[FakeBedrock]:
    with FakeBedrock() as server:
        yield server


@pytest.fixture
def run(server: FakeBedrock) -> Callable[..., Any]:
    """Does something with a client, in a loop of its own."""

    def run(do: Do, url: str = server.base_url, **config: Any) -> Any:
        async def with_client() -> Any:
            async with calls.async_client(url, **config) as client:
                return await do(client)

        return asyncio.run(with_client())

    return run


async def invoke(client: Any, body: str = CLAUDE) -> Any:
    return (await client.invoke_model(modelId="ok", body=body))["body"]


async def read_twice(client: Any) -> None:
    async for _ in (await client.converse_stream(modelId="ok", messages=MESSAGES))["stream"]:
        pass
    async for _ in (await client.invoke_model_with_response_stream(modelId="ok", body=CLAUDE))["body"]:
        pass


def test_both_kinds_of_streams_are_counted_and_tell_their_usage(run: Callable[..., Any], seen: Captured) -> None:
    run(read_twice)
    assert [each.chunks for each in seen.operations] == [7, 9]
    for operation in seen.operations:
        assert (operation.status, operation.model, operation.provider) == ("completed", "ok", "aws.bedrock")
        assert operation.tokens is not None
        assert (operation.tokens.input, operation.tokens.output, operation.tokens.estimated) == (7, 3, False)


@every_session
def test_whole_answers_are_read_over_each_transport_and_tell_their_stages(
    session: type, run: Callable[..., Any], seen: Captured
) -> None:
    async def ask(client: Any) -> Any:
        await client.converse(modelId="ok", messages=MESSAGES)
        return json.loads(await (await invoke(client)).read())

    assert run(ask, http_session_cls=session)["stop_reason"] == "end_turn"
    for operation in seen.operations:
        assert operation.status is Status.COMPLETED
        assert "waiting_first_chunk" in operation.stages_completed
        assert operation.tokens is not None
        assert (operation.tokens.input, operation.tokens.output) == (7, 3)


def test_an_invoked_answer_is_over_when_its_body_has_been_read(run: Callable[..., Any], seen: Captured) -> None:
    async def ask(client: Any) -> None:
        body = await invoke(client)
        assert isinstance(body, response.StreamingBody)
        assert seen.operations[0].status is Status.RUNNING
        await body.read()
        assert the_operation(seen).status is Status.COMPLETED

    run(ask)
    assert the_operation(seen).bytes == 359


async def in_chunks(body: Any) -> None:
    async for _ in body.iter_chunks(50):
        pass


async def in_lines(body: Any) -> None:
    async for _ in body.iter_lines():
        pass


async def exactly(body: Any) -> None:
    await body.read(amt=359)


async def into(body: Any) -> None:
    while await body.readinto(bytearray(100)):
        pass


async def in_a_block(body: Any) -> None:
    async with body as entered:
        await entered.read()


@pytest.mark.parametrize("read", [in_chunks, in_lines, exactly, into, in_a_block])
def test_however_a_body_is_read_it_is_seen_to_end(read: Do, run: Callable[..., Any], seen: Captured) -> None:
    async def ask(client: Any) -> None:
        await read(await invoke(client))

    run(ask)
    assert (the_operation(seen).status, the_operation(seen).bytes) == (Status.COMPLETED, 359)


def test_a_body_that_is_closed_unread_is_closed_early(run: Callable[..., Any], seen: Captured) -> None:
    async def ask(client: Any) -> None:
        (await invoke(client)).close()

    run(ask)
    assert (the_operation(seen).status, the_operation(seen).status_reason) == (Status.CANCELLED, "closed early")


def test_calls_that_run_side_by_side_are_operations_of_their_own(run: Callable[..., Any], seen: Captured) -> None:
    run(lambda client: asyncio.gather(*(client.converse(modelId="ok", messages=MESSAGES) for _ in range(3))))
    assert [each.status for each in seen.operations] == [Status.COMPLETED] * 3


def test_a_disabled_client_is_not_seen(run: Callable[..., Any], seen: Captured) -> None:
    async def ask(client: Any) -> None:
        disable(client)
        await client.converse(modelId="ok", messages=MESSAGES)

    run(ask)
    assert seen.operations == []


def test_what_is_asked_and_answered_is_kept_on_request(
    run: Callable[..., Any], seen: Captured, states: list[State], capturing: None
) -> None:
    async def ask(client: Any) -> None:
        await read_twice(client)
        await (await invoke(client)).read()

    run(ask)
    for state in states:
        assert state.content is not None
        assert state.content.answer() == "".join(CONTENT)


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_while_the_client_sleeps_the_operation_waits_for_its_next_attempt(
    mode: str, run: Callable[..., Any], server: FakeBedrock, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda _delay: pause(0))
    told, registry = Told(), get_progress_registry()
    registry.add_processor(told)
    try:
        retries = {"mode": mode, "max_attempts": 3}
        run(lambda client: client.converse(modelId="flaky", messages=MESSAGES), retries=retries)
    finally:
        registry.remove_processor(told)
    (waiting,) = [each for each in told.seen if each.stage == "retrying" and each.next_retry_at is not None]
    assert (waiting.status_reason, waiting.attempt) == ("500", 1)
    assert (the_operation(seen).status, the_operation(seen).attempt) == (Status.COMPLETED, 2)


def test_a_job_is_seen_when_it_is_asked_for(seen: Captured) -> None:
    client = calls.over(Answers({"jobArn": ARN, "status": "InProgress"}), "bedrock")
    asyncio.run(client.get_model_invocation_job(jobIdentifier=ARN))
    assert (the_operation(seen).name, the_operation(seen).stage) == ("batch", "in_progress")
