"""`Agent`: a tool-calling loop that shows its tools' progress."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, OpenAI

from midspan.compat.agent import Agent
from midspan.models import Status
from midspan.tracking.decorators import progress
from midspan.tracking.events import ProgressEvent
from midspan.tracking.tracker import get_progress_registry
from tests.compat.scripted_model import ScriptedModel, calls, says


@progress
def search(query: str, pages: int = 2, mode: Literal["fast", "deep"] = "fast") -> list[str]:  # type: ignore[misc]
    """Searches the archive."""
    for page in range(pages):
        yield {"progress": (page + 1) / pages, "status": f"page {page + 1}"}
    return [f"{query} {mode} {page}" for page in range(pages)]


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def agent_of(model: ScriptedModel, *tools: Any, **options: Any) -> Agent:
    return Agent(list(tools), "scripted", OpenAI(base_url=model.base_url, api_key="none", max_retries=0), **options)


def test_an_answer_without_tools_is_returned() -> None:
    with ScriptedModel(says("hello")) as model:
        assert agent_of(model, instructions="Be short.").run("hi") == "hello"
    (request,) = model.requests
    assert request["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hi"}]
    assert "tools" not in request


def test_a_tool_is_called_and_its_result_goes_to_the_model() -> None:
    events: list[ProgressEvent] = []
    with ScriptedModel(calls(("search", {"query": "q"})), says("found")) as model:
        assert agent_of(model, search).run("find q", on_progress=events.append) == "found"
    assert [(event.progress, event.status) for event in events] == [(0.5, "page 1"), (1.0, "page 2")]
    called, result = model.requests[1]["messages"][-2:]
    assert called["tool_calls"][0]["function"]["name"] == "search"
    assert result["tool_call_id"] == "call_0"
    assert json.loads(result["content"]) == ["q fast 0", "q fast 1"]


def test_the_schema_is_that_of_the_signature_and_the_docstring() -> None:
    with ScriptedModel(says("ok")) as model:
        agent_of(model, search).run("hi")
    (tool,) = model.requests[0]["tools"]
    function = tool["function"]
    assert (tool["type"], function["name"], function["description"]) == ("function", "search", "Searches the archive.")
    assert function["parameters"]["required"] == ["query"]
    assert function["parameters"]["properties"] == {
        "query": {"type": "string"},
        "pages": {"type": "integer", "default": 2},
        "mode": {"enum": ["deep", "fast"], "default": "fast"},
    }


def test_several_tools_in_one_turn_are_all_answered() -> None:
    with ScriptedModel(calls(("add", {"a": 1, "b": 2}), ("add", {"a": "3", "b": 4})), says("done")) as model:
        agent_of(model, add).run("sum")
    assert [message["content"] for message in model.requests[1]["messages"][-2:]] == ["3", "7"]


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("subtract", {}, "no tool named 'subtract'"),
        ("add", "{not json", "bad arguments for add"),
        ("add", {"a": 1}, "parameter 'b' is missing"),
        ("add", {"a": 1, "b": "two"}, "b: Expected `int`, got `str`"),
        ("add", {"a": 1, "b": 2, "c": 3}, "there is no parameter 'c'; there are: a, b"),
    ],
)
def test_what_the_model_gets_wrong_is_told_to_the_model(name: str, arguments: object, wanted: str) -> None:
    with ScriptedModel(calls((name, arguments)), says("sorry")) as model:
        assert agent_of(model, add).run("sum") == "sorry"
    content = model.requests[1]["messages"][-1]["content"]
    assert content.startswith("error: ")
    assert wanted in content


def test_what_a_tool_raises_is_raised_and_fails_the_run() -> None:
    error = OSError("disk")

    @progress
    def broken() -> Iterator[dict[str, float]]:
        yield {"progress": 0.5}
        raise error

    with ScriptedModel(calls(("broken", {}))) as model, pytest.raises(OSError, match="disk") as caught:
        agent_of(model, broken).run("go")
    assert caught.value is error
    assert {operation.status for operation in get_progress_registry().operations()} == {Status.FAILED}


def test_a_model_that_never_answers_is_given_up() -> None:
    with ScriptedModel(calls(("add", {"a": 1, "b": 1}))) as model:
        with pytest.raises(RuntimeError, match="no answer after 3 turns"):
            agent_of(model, add, max_turns=3).run("loop")
        assert len(model.requests) == 3


def test_a_run_is_an_operation_with_its_tools_as_children() -> None:
    with ScriptedModel(calls(("search", {"query": "q"})), says("found")) as model:
        agent_of(model, search).run("find q")
    by_name = {operation.name: operation for operation in get_progress_registry().operations()}
    assert by_name["agent"].operation_type == "agent"
    assert by_name["agent"].status is Status.COMPLETED
    assert by_name["search"].parent_id == by_name["agent"].operation_id


async def collect(agent: Agent, prompt: str) -> list[ProgressEvent]:
    return [event async for event in agent.arun_stream(prompt)]


def test_the_async_stream_ends_with_the_result() -> None:
    with ScriptedModel(calls(("search", {"query": "q", "pages": 4})), says("found")) as model:
        events = asyncio.run(collect(agent_of(model, search), "find q"))
    assert [event.type for event in events] == ["progress"] * 4 + ["result"]
    assert [event.progress for event in events[:4]] == [0.25, 0.5, 0.75, 1.0]
    assert (events[-1].data, events[-1].progress) == ("found", 1.0)


def test_the_async_stream_raises_what_the_run_raises() -> None:
    def broken() -> None:
        raise OSError("disk")

    with ScriptedModel(calls(("broken", {}))) as model, pytest.raises(OSError, match="disk"):
        asyncio.run(collect(agent_of(model, broken), "go"))


def test_a_tool_waits_for_a_slow_reader_of_the_async_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midspan.compat.agent.MAX_WAITING", 3)
    told: list[int] = []

    @progress
    def fast():  # type: ignore[no-untyped-def]
        """Tells much."""
        for number in range(50):
            told.append(number)
            yield {"progress": number / 50}

    async def main(agent: Agent) -> int:
        seen = 0
        async for _ in agent.arun_stream("go"):
            seen += 1
            if seen < 10:
                await asyncio.sleep(0.005)
                assert len(told) <= seen + 3 + 1
        return seen

    with ScriptedModel(calls(("fast", {})), says("done")) as model:
        assert asyncio.run(main(agent_of(model, fast))) == 51


def test_leaving_the_async_stream_stops_the_run() -> None:
    gate = threading.Semaphore(1)

    @progress
    def slow() -> Iterator[dict[str, int]]:
        for number in range(1000):
            gate.acquire(timeout=30)
            yield {"number": number}

    async def main(agent: Agent) -> None:
        events = agent.arun_stream("go")
        async for _ in events:
            break
        await events.aclose()  # type: ignore[attr-defined]
        gate.release()

    with ScriptedModel(calls(("slow", {}))) as model:
        asyncio.run(main(agent_of(model, slow)))
    assert {operation.status for operation in get_progress_registry().operations()} == {Status.CANCELLED}


def test_without_a_client_one_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedModel(says("hello")) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_MODEL", "from-environment")
        agent = Agent()
        assert agent.run("hi") == "hello"
        agent._client.close()  # type: ignore[union-attr]
    assert model.requests[0]["model"] == "from-environment"


def test_the_model_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    assert Agent().model == "gpt-4o-mini"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_async_client_raises() -> None:
    agent = Agent(client=AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="none"))
    with pytest.raises(TypeError, match="not async"):
        agent.run("hi")


def test_a_tool_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="tool"):
        Agent(tools=["search"])  # type: ignore[list-item]
