"""What the official SDK's own client sees of `/mcp`, in each era of the protocol that it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.mcp_client.clients import MODES, Client, connected


@pytest.fixture(params=MODES)
def with_client(request: pytest.FixtureRequest, url: str) -> Callable[[Callable[[Client], Awaitable[Any]]], Any]:
    """Runs a coroutine function with a connected client."""

    def run(use: Callable[[Client], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with connected(url, request.param) as client:
                return await use(client)

        return asyncio.run(asyncio.wait_for(main(), 60))

    return run


WithClient = Callable[[Callable[[Client], Awaitable[Any]]], Any]


def test_the_tools_are_listed_with_what_they_take(with_client: WithClient) -> None:
    tools = with_client(Client.tools)
    assert list(tools) == [
        "start_long_task",
        "get_task_progress",
        "get_task_result",
        "cancel_task",
        "list_operations",
        "wait_for_operation",
        "get_statistics",
    ]
    assert all(tool["inputSchema"]["type"] == "object" for tool in tools.values())
    assert [name for name, tool in tools.items() if not tool["annotations"]["readOnlyHint"]] == [
        "start_long_task",
        "cancel_task",
    ]
    assert "- steps(steps=4, duration_seconds=0.0): Go step by step." in tools["start_long_task"]["description"]


def test_a_task_is_started_waited_for_and_has_a_result(with_client: WithClient) -> None:
    async def use(client: Client) -> tuple[Any, ...]:
        started = await client.data("start_long_task", task_type="steps", duration_seconds=0, steps=3)
        operation_id = started["operation_id"]
        waited = await client.data("wait_for_operation", operation_id=operation_id)
        progress = await client.data("get_task_progress", operation_id=operation_id)
        return started, waited, progress, await client.data("get_task_result", operation_id=operation_id)

    started, waited, progress, result = with_client(use)
    assert waited["operation_id"] == started["operation_id"] and not waited["timed_out"]
    assert (progress["status"], progress["progress"]) == ("completed", 100.0)
    assert progress["message"] == "Completed 3 steps successfully"
    assert (result["status"], result["output"]) == ("completed", {"steps_completed": 3})


def test_a_call_with_a_progress_token_is_told_of_growing_progress_and_ends_with_the_task(
    with_client: WithClient,
) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    ended = with_client(
        lambda client: client.data("start_long_task", note, task_type="steps", duration_seconds=1, steps=4)
    )
    assert ended["status"] == "completed" and len(told) >= 2
    assert all(before[0] < after[0] for before, after in pairwise(told))
    assert (100.0, "Processing step 1/4 - steps") in {(total, message) for _, total, message in told}


def test_a_task_is_cancelled(with_client: WithClient) -> None:
    async def use(client: Client) -> Any:
        started = await client.data("start_long_task", task_type="forever")
        operation_id = started["operation_id"]
        asked = await client.data("cancel_task", operation_id=operation_id, reason="not needed")
        return asked, await client.data("wait_for_operation", operation_id=operation_id)

    asked, waited = with_client(use)
    assert (asked["cancel"], waited["status"]) == ("requested", "cancelled")


def test_waiting_ends_when_time_is_over_or_something_is_new(with_client: WithClient) -> None:
    async def use(client: Client) -> Any:
        started = await client.data("start_long_task", task_type="forever")
        operation_id = started["operation_id"]
        late = await client.data("wait_for_operation", operation_id=operation_id, timeout_s=0.1)
        new = await client.data("wait_for_operation", operation_id=operation_id, after_seq=0)
        await client.data("cancel_task", operation_id=operation_id)
        return late, new

    late, new = with_client(use)
    assert late["timed_out"] and not new["timed_out"] and new["sequence"] > 0


def test_a_failed_task_says_why(with_client: WithClient) -> None:
    async def use(client: Client) -> Any:
        started = await client.data("start_long_task", task_type="broken")
        return await client.data("wait_for_operation", operation_id=started["operation_id"])

    waited = with_client(use)
    assert waited["status"] == "failed" and "no good" in waited["error"]


def test_operations_are_listed_and_counted(with_client: WithClient) -> None:
    async def use(client: Client) -> Any:
        started = await client.data("start_long_task", task_type="steps", steps=1)
        await client.data("wait_for_operation", operation_id=started["operation_id"])
        first = await client.data("list_operations", limit=1, status=["completed"])
        statistics = await client.data("get_statistics")
        return started["operation_id"], first, statistics

    operation_id, first, statistics = with_client(use)
    (row,) = first["operations"]
    assert (row["operation_id"], row["result"]) == (operation_id, {"steps_completed": 1})
    assert statistics["by_name"]["steps"]["completed"] >= 1


def test_operations_are_resources(with_client: WithClient) -> None:
    async def use(client: Client) -> Any:
        started = await client.data("start_long_task", task_type="steps", steps=1)
        listed = {each["uri"] for each in await client.resources()}
        uri = f"midspan://operations/{started['operation_id']}"
        return uri in listed, await client.templates(), (await client.read(uri))["operation_id"], started

    is_listed, templates, read, started = with_client(use)
    assert is_listed and read == started["operation_id"]
    assert [each["uriTemplate"] for each in templates] == ["midspan://operations/{operation_id}"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("get_task_progress", {"operation_id": "nobody"}, "no operation 'nobody'"),
        ("start_long_task", {"task_type": "paint"}, "no task 'paint'; there are: broken, forever, steps"),
        ("start_long_task", {"task_type": "steps", "arguments": {"n": 1}}, "no parameter 'n'"),
        ("cancel_task", {}, "bad arguments for cancel_task: Object missing required field `operation_id`"),
        ("wait_for_operation", {"operation_id": "x", "timeout_s": 1e9}, "at `timeout_s`"),
        ("list_operations", {"status": ["lively"]}, "at `status"),
        ("list_operations", {"cursor": "x"}, "no cursor"),
        ("get_statistics", {"since": 1}, "unknown field `since`"),
        ("walk", {}, "no tool 'walk'"),
    ],
)
def test_what_is_wrong_is_told_in_the_envelope(
    with_client: WithClient, name: str, arguments: dict[str, Any], said: str
) -> None:
    envelope, failed = with_client(lambda client: client.call(name, **arguments))
    assert failed and envelope["status"] == "error"
    assert said in envelope["error"]
