"""Between two attempts: an operation says that it waits, for what and until when, while the SDK sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import midspan_instrumentation as instrumentation
from midspan.core import failures
from midspan.core.operation import Status
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import MESSAGES, http
from tests.fakes.openai_server import answer_of
from tests.instrumentation.seen import Told

DELAY = 0.02


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    get_progress_registry().add_processor(made)
    yield made
    get_progress_registry().remove_processor(made)


Answer = Callable[[Any], Any]


def failing_first(status: int | None) -> Answer:
    """The first request of all is answered with this status (None: cannot be sent), any other one well."""
    requests: list[Any] = []

    def answer(request: Any) -> Any:
        requests.append(request)
        if len(requests) > 1:
            return http.Response(200, json=answer_of("/chat/completions", {"model": "m"}))
        if status is None:
            raise http.ConnectError("nobody there", request=request)
        error = {"error": {"message": "later"}}
        return http.Response(status, json=error, headers={"retry-after-ms": str(DELAY * 1000)})

    return answer


def ask(answer: Answer, retries: int = 1) -> None:
    own = http.Client(transport=http.MockTransport(answer))
    with openai.OpenAI(api_key="x", base_url="http://model.example/v1", http_client=own, max_retries=retries) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


async def ask_async(answer: Answer) -> None:
    own = http.AsyncClient(transport=http.MockTransport(answer))
    url = "http://model.example/v1"
    async with openai.AsyncOpenAI(api_key="x", base_url=url, http_client=own, max_retries=1) as client:
        await client.chat.completions.create(model="m", messages=MESSAGES)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("status", "waits_for"), [(429, "rate_limit"), (503, "retry")])
def test_while_the_sdk_sleeps_the_operation_waits_until_the_servers_own_time(
    is_async: bool, status: int, waits_for: str, seen: Captured, told: Told
) -> None:
    answer = failing_first(status)
    if is_async:
        asyncio.run(ask_async(answer))
    else:
        ask(answer)
    waiting, sending, *_ = told.seen
    assert (waiting.stage, waiting.waiting_for, waiting.attempt) == ("retrying", waits_for, 1)
    assert waiting.next_retry_at == pytest.approx(waiting.updated_at + DELAY)
    assert (sending.stage, sending.waiting_for, sending.attempt) == ("sending_request", None, 2)
    assert sending.next_retry_at is None
    assert sending.updated_at >= waiting.next_retry_at - 0.001  # an event loop may wake a little early
    (operation,) = seen.operations
    assert operation.status is Status.COMPLETED
    assert operation.stages_completed == ("sending_request", "retrying", "processing_response")


def test_what_could_not_be_sent_waits_as_long_as_the_sdk_has_chosen(
    seen: Captured, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", DELAY)
    ask(failing_first(None))
    waiting = told.seen[0]
    assert (waiting.stage, waiting.waiting_for) == ("retrying", "retry")
    assert waiting.next_retry_at is not None
    assert 0.0 < waiting.next_retry_at - waiting.updated_at <= 2 * DELAY  # openai 1.40 doubles it at once
    assert seen.operations[0].status is Status.COMPLETED


def test_a_call_that_may_not_be_repeated_never_waits(seen: Captured, told: Told) -> None:
    with pytest.raises(openai.RateLimitError):
        ask(failing_first(429), retries=0)
    assert [operation.stage for operation in told.seen] == []
    (operation,) = seen.operations
    assert (operation.status, operation.stages_completed) == (Status.FAILED, ("sending_request",))


def test_a_call_that_succeeds_at_once_never_asks(seen: Captured, told: Told) -> None:
    answer = failing_first(429)
    for _ in range(2):
        ask(answer)
    assert ["retrying" in operation.stages_completed for operation in seen.operations] == [True, False]


def test_a_delay_of_something_else_is_nobodys(seen: Captured, told: Told) -> None:
    class Bare(openai.OpenAI):
        def delay(self) -> float:
            options: Any = openai._models.FinalRequestOptions(method="get", url="/")  # type: ignore[attr-defined]
            return self._calculate_retry_timeout(2, options, None)

    with Bare(api_key="x") as client:
        assert client.delay() > 0.0
    assert told.seen == []


def test_a_failure_of_ours_leaves_the_delay_to_the_sdk(monkeypatch: pytest.MonkeyPatch, seen: Captured) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr("midspan.core.transitions.moment", lambda _: 1 / 0)
    ask(failing_first(429))
    assert failures.counts() == {"tracker": 1}
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == (Status.COMPLETED, 2)


def test_the_sdks_own_method_is_back_when_switched_off() -> None:
    from openai._base_client import BaseClient

    bare = vars(BaseClient)["_calculate_retry_timeout"]
    instrumentation.apply()
    assert vars(BaseClient)["_calculate_retry_timeout"] is not bare
    instrumentation.undo()
    assert vars(BaseClient)["_calculate_retry_timeout"] is bare
