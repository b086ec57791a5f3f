"""The Tasks extension of 2026-07-28: an operation as a task, for clients that take one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.mcp_client.clients import MAJOR, Client, connected

if MAJOR == 1:
    pytest.skip("version 1 of the SDK speaks no protocol that has extensions", allow_module_level=True)

import mcp_types as types
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ConfigDict, Field

TASKS = "io.modelcontextprotocol/tasks"


class Params(types.RequestParams):
    task_id: str = Field(serialization_alias="taskId")


class Request(types.Request[Params, str]):
    method: str
    params: Params


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, task_id: str) -> dict[str, Any]:
    request = Request(method=f"tasks/{method}", params=Params(task_id=task_id))
    return (await client.session.session.send_request(request, Answer)).model_dump()


async def refusal(client: Client, method: str) -> MCPError:
    """The error that a task which nobody knows is asked for with."""
    with pytest.raises(MCPError) as told:
        await ask(client, method, "nobody")
    return told.value


async def start(client: Client, name: str) -> dict[str, Any]:
    """The handle that a call is answered with."""
    request = types.CallToolRequest(
        params=types.CallToolRequestParams(name="start_long_task", arguments={"task_type": name})
    )
    return (await client.session.session.send_request(request, Answer)).model_dump()


async def ended(client: Client, task_id: str) -> dict[str, Any]:
    """The task, once it has ended."""
    await client.data("wait_for_operation", operation_id=task_id)
    return await ask(client, "get", task_id)


def with_client(url: str, use: Callable[[Client], Awaitable[Any]], *, declared: bool = True) -> Any:
    async def main() -> Any:
        extensions = [advertise(TASKS)] if declared else []
        async with connected(url, "auto", extensions=extensions) as client:
            return await use(client)

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_the_server_says_that_it_has_tasks(url: str) -> None:
    async def use(client: Client) -> Any:
        return client.session.server_capabilities.extensions

    assert with_client(url, use) == {TASKS: {}}


def test_a_started_task_is_a_handle_that_has_its_result_in_the_end(url: str) -> None:
    async def use(client: Client) -> Any:
        handle = await start(client, "steps")
        return handle, await ended(client, handle["taskId"])

    handle, task = with_client(url, use)
    assert handle["resultType"] == "task" and handle["status"] in ("working", "completed")
    assert task["resultType"] == "complete" and task["status"] == "completed"
    assert task["result"]["structuredContent"]["data"]["output"] == {"steps_completed": 4}
    assert not task["result"]["isError"] and task["ttlMs"] > 3_600_000 - 1
    assert task["_meta"]["io.midspan/progress"]["progress"] == 1.0


def test_a_running_task_says_when_to_ask_again_and_is_cancelled_on_request(url: str) -> None:
    async def use(client: Client) -> Any:
        task_id = (await start(client, "forever"))["taskId"]
        working = await ask(client, "get", task_id)
        updated = await ask(client, "update", task_id)
        acknowledged = await ask(client, "cancel", task_id)
        return working, updated, acknowledged, await ended(client, task_id)

    working, updated, acknowledged, last = with_client(url, use)
    assert (working["status"], working["ttlMs"], working["pollIntervalMs"]) == ("working", None, 1000)
    assert {key for key in (*updated, *acknowledged) if not key.startswith("_")} == {"resultType"}
    assert (last["status"], last["statusMessage"]) == ("cancelled", "cancelled on request")
    assert "result" not in last


def test_what_has_failed_is_a_completed_task_with_an_error(url: str) -> None:
    async def use(client: Client) -> Any:
        return await ended(client, (await start(client, "broken"))["taskId"])

    task = with_client(url, use)
    assert (task["status"], task["result"]["isError"]) == ("completed", True)
    assert "no good" in task["result"]["structuredContent"]["error"]


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
def test_an_unknown_task_is_an_error_of_the_protocol(url: str, method: str) -> None:
    error = with_client(url, lambda client: refusal(client, method))
    assert error.code == types.INVALID_PARAMS and "no operation 'nobody'" in error.message


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
def test_who_has_not_declared_the_extension_is_told_so(url: str, method: str) -> None:
    error = with_client(url, lambda client: refusal(client, method), declared=False)
    assert error.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY and "was not declared" in error.message
    assert error.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


def test_who_has_not_declared_it_gets_no_handle(url: str) -> None:
    async def use(client: Client) -> Any:
        return await client.data("start_long_task", task_type="steps")

    assert "operation_id" in with_client(url, use, declared=False)


def test_a_task_that_cannot_be_started_is_an_ordinary_error(url: str) -> None:
    async def use(client: Client) -> Any:
        return await client.call("start_long_task", task_type="paint")

    envelope, failed = with_client(url, use)
    assert failed and "no task 'paint'" in envelope["error"]
