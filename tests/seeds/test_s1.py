"""Seed S1, "Progress Tracking" over MCP: its own Python, and the promises of its tools, against a real server.

Times are twenty times faster than in the seed: that is what `Hurried` and `hurried_asyncio` are for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from midspan import Status
from midspan.client import MCPClient, poll_progress, start_and_stream
from midspan.runtime.pulse import Pulse
from midspan.server.app import create_app
from midspan.server.dialects.long_tasks import progress_data
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry
from tests.browsing import ROOT
from tests.seeds.reading import S1, blocks, needs_seeds, run_block

pytest.importorskip("mcp", reason="the extra mcp is not installed")

Eventually = Callable[..., None]
Row = dict[str, Any]
HURRY = 20


class Hurried(MCPClient):
    """Starts tasks that last a twentieth of what is asked for."""

    async def call_and_parse(self, tool: str, arguments: Mapping[str, Any] | None = None) -> Row:
        given = dict(arguments or {})
        if "duration_seconds" in given:
            given["duration_seconds"] /= HURRY
        return await super().call_and_parse(tool, given)


hurried_asyncio = SimpleNamespace(
    sleep=lambda seconds: asyncio.sleep(seconds / HURRY), timeout=asyncio.timeout, TimeoutError=asyncio.TimeoutError
)


def example_tasks(registry: ProgressRegistry) -> Tasks:
    """Those of examples/long_tasks.py, and one that fails."""
    names: Row = {"__name__": "long_tasks_of_the_seed"}
    exec(compile((ROOT / "examples" / "long_tasks.py").read_text(encoding="utf-8"), "long_tasks", "exec"), names)
    tasks = Tasks(registry)
    for name in ("data_analysis", "data_processing", "nap"):
        tasks.add(Task.of(name, names[name], {}))
    tasks.add(Task.of("broken", broken, {}))
    return tasks


def broken() -> None:
    raise ValueError("no data")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ProgressRegistry, str]]:
    registry = ProgressRegistry()
    tasks = example_tasks(registry)
    app = create_app(registry, metrics=lambda accept: (b"", "text/plain"), tasks=tasks)
    server, pulse = EmbeddedServer(lambda: app, port=0), Pulse(registry)
    server.start()
    pulse.start()
    with registry.subscribe():  # the pulse beats as fast as it does while somebody watches
        yield registry, server.url
    tasks.stop(within=5)
    pulse.stop()
    server.stop()


@pytest.fixture
def registry(served: tuple[ProgressRegistry, str]) -> ProgressRegistry:
    return served[0]


@pytest.fixture
def url(served: tuple[ProgressRegistry, str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MIDSPAN_SERVER", served[1].removeprefix("http://"))
    return served[1]


def call(url: str, tool: str, **arguments: Any) -> Row:
    return asyncio.run(MCPClient(url).call_and_parse(tool, arguments))


@pytest.fixture
def seed(url: str) -> Row:
    """The seed's own functions, and what its examples take for granted."""
    names: Row = {"__name__": "seed", "MCPClient": Hurried, "asyncio": hurried_asyncio}
    for block in blocks(S1)[:4]:
        run_block(block, names)
    return names


@needs_seeds
def test_s1_13_14_21_22_the_seeds_own_stream_follows_a_task(
    seed: Row, url: str, registry: ProgressRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its `start_and_stream`, with its callback: the steps, 100 % twice, the final result."""

    def on_progress(data: Row) -> None:
        print(f"Progress: {data['progress']:.0f}% - {data['message']}")

    result = asyncio.run(
        seed["start_and_stream"](
            base_url=url, task_type="data_analysis", duration_seconds=10, steps=5, callback=on_progress
        )
    )
    *shown, last = capsys.readouterr().out.splitlines()
    messages = [f"Processing step {step}/5 - data_analysis" for step in range(1, 6)]
    steps = [f"Progress: {20 * number}% - {message}" for number, message in enumerate(messages, 1)]
    assert last == "Progress: 100% - Completed 5 steps successfully"
    assert [line for line in steps if line in shown] == [line for line in shown if line != "Progress: 0% - "]
    assert result["status"] == "success"
    assert result["data"]["output"] == {"task_type": "data_analysis", "steps_completed": 5}
    operation = registry.get(result["data"]["operation_id"])
    assert operation is not None
    assert [event.message for event in operation.history if event.type == "update"] == messages


@needs_seeds
def test_s1_01_18_24_27_the_seeds_own_polling_follows_a_task(seed: Row, capsys: pytest.CaptureFixture[str]) -> None:
    """Its `poll_example`, whose client has the default address."""
    asyncio.run(seed["poll_example"]())
    first, *shown, ended, result = capsys.readouterr().out.splitlines()
    assert first.startswith("Task started: ") and first.endswith("...")
    assert set(shown[:-1]) <= {
        "0% -  [running]",
        "33% - Processing step 1/3 - data_processing [running]",
        "67% - Processing step 2/3 - data_processing [running]",
        "100% - Processing step 3/3 - data_processing [running]",
    }
    assert shown[-1] == "100% - Completed 3 steps successfully [completed]"
    assert ended == "Task completed!"
    assert "'steps_completed': 3" in result


@needs_seeds
def test_s1_17_18_19_the_seeds_tool_snippets(seed: Row, capsys: pytest.CaptureFixture[str]) -> None:
    """Started, asked how far it is, and asked for its output, as they stand in the seed."""
    seed["client"] = Hurried()
    start, progress, result = blocks(S1)[4:7]
    run_block(start, seed)
    assert len(seed["operation_id"]) >= 8
    run_block(progress, seed)
    assert "Status: running" in capsys.readouterr().out
    asyncio.run(poll_progress(seed["operation_id"], interval=0.02))
    run_block(result, seed)
    assert "Output: {'task_type': 'data_analysis', 'steps_completed': 10}" in capsys.readouterr().out


@needs_seeds
def test_s1_13_24_28_30_the_seeds_best_practices(url: str) -> None:
    """Streaming and polling by id alone, a bound on the time, and a clean-up: with the names of midspan.client."""
    from midspan.client import stream_progress

    seen: list[Row] = []
    names: Row = {
        "__name__": "seed",
        "stream_progress": stream_progress,
        "poll_progress": poll_progress,
        "show_progress": seen.append,
        "asyncio": asyncio,
        "client": MCPClient(url),
    }
    found = blocks(S1)[7:]
    assert len(found) == 4
    names["operation_id"] = call(url, "start_long_task", task_type="data_analysis", steps=2, duration_seconds=0.1)[
        "data"
    ]["operation_id"]
    for block in found:
        run_block(block, names)
    assert seen[-1]["status"] == "completed"
    assert asyncio.run(names["safe_stream"](names["operation_id"]))["final_status"] == "completed"
    waiting = call(url, "start_long_task", task_type="nap")["data"]["operation_id"]
    late = asyncio.run(names["safe_stream"](waiting, timeout=0.1))
    assert late == {"status": "error", "error": "Operation timed out"}
    assert call(url, "cancel_task", operation_id=waiting)["status"] == "success"


@needs_seeds
def test_s1_29_35_the_seeds_own_callback_feeds_a_bar_and_labels(registry: ProgressRegistry) -> None:
    """And shows the remaining time only where it is known."""
    shown: list[object] = []
    names: Row = {
        "__name__": "seed",
        "progress_bar": SimpleNamespace(set_value=shown.append),
        "status_label": SimpleNamespace(set_text=shown.append),
        "eta_label": SimpleNamespace(set_text=shown.append),
    }
    run_block(blocks(S1)[9], names)
    tracker = registry.create_tracker(total_steps=4)
    tracker.update(1, "Processing step 1/4")
    names["on_progress"](progress_data(tracker.get_progress_details()))
    names["on_progress"](progress_data(tracker.get_progress_details()) | {"estimated_remaining": 10.2})
    tracker.complete()
    assert shown == [25.0, "Processing step 1/4", 25.0, "Processing step 1/4", "ETA: 10s"]


@needs_seeds
def test_s1_31_the_seeds_own_json_rpc_call(registry: ProgressRegistry, url: str) -> None:
    """Posted as it stands, without an `initialize` before."""
    (body,) = [block for block in blocks(S1, "json") if "jsonrpc" in block]
    registry.create_tracker("uuid").update(progress=0.5, message="Processing...")
    answer = httpx2.post(f"{url}/mcp", content=body, headers={"content-type": "application/json"})
    message = answer.json()
    assert (answer.status_code, message["id"]) == (200, 1)
    data = json.loads(message["result"]["content"][0]["text"])["data"]
    assert (data["progress"], data["message"], data["status"]) == (50.0, "Processing...", "running")


@needs_seeds
def test_s1_11_12_the_seeds_own_structures_have_our_fields(registry: ProgressRegistry, url: str) -> None:
    """Every field that its two JSON examples show is there, with its type."""
    tracker = registry.create_tracker(total_steps=4)
    tracker.update(3, "Processing step 3/4")
    data = call(url, "get_task_progress", operation_id=tracker.operation_id)["data"]
    tracker.complete()
    for block in blocks(S1, "json")[:2]:
        for name, value in json.loads(block).items():
            wanted = (type(value), type(None)) if name == "estimated_remaining" else type(value)
            assert isinstance(data[name], wanted), name


def test_s1_14_15_started_and_followed_with_our_client(url: str) -> None:
    seen: list[Row] = []
    result = asyncio.run(start_and_stream(url, "data_analysis", 0.2, 4, seen.append))
    assert result["data"]["output"] == {"task_type": "data_analysis", "steps_completed": 4}
    assert (seen[-1]["progress"], seen[-1]["message"]) == (100.0, "Completed 4 steps successfully")


def test_s1_18_20_a_task_is_cancelled(url: str, registry: ProgressRegistry, eventually: Eventually) -> None:
    started = call(url, "start_long_task", task_type="nap")
    operation_id = started["data"]["operation_id"]
    assert started["status"] == "success"
    assert call(url, "cancel_task", operation_id=operation_id)["status"] == "success"
    eventually(lambda: registry.get(operation_id).status is Status.CANCELLED)  # type: ignore[union-attr]
    assert asyncio.run(poll_progress(MCPClient(url), operation_id, 0.01))["status"] == "cancelled"


def test_s1_25_a_task_that_fails_is_an_error_with_its_text(url: str) -> None:
    operation_id = call(url, "start_long_task", task_type="broken")["data"]["operation_id"]
    assert asyncio.run(poll_progress(MCPClient(url), operation_id, 0.01)) == {"status": "error", "error": "no data"}


def test_s1_26_polling_gives_up_in_time(url: str) -> None:
    operation_id = call(url, "start_long_task", task_type="nap")["data"]["operation_id"]
    answer = asyncio.run(poll_progress(MCPClient(url), operation_id, 0.01, 0.05))
    assert answer == {"status": "error", "error": "Timeout"}
    call(url, "cancel_task", operation_id=operation_id)


def test_what_cannot_be_called_is_an_error(url: str) -> None:
    assert "no operation" in call(url, "get_task_progress", operation_id="nobody")["error"]
    assert call(url, "start_long_task", task_type="nothing")["status"] == "error"
    assert call(url, "no_such_tool")["status"] == "error"
    assert asyncio.run(start_and_stream(url, "nothing"))["status"] == "error"
