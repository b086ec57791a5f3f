"""A `@progress` function as a tool of the real openai-agents package, watched through `ProgressStream`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from openai import AsyncOpenAI

from midspan.models import Status
from midspan.tracking.decorators import progress
from midspan.tracking.stream import ProgressStream
from midspan.tracking.tracker import get_progress_registry
from tests.compat.scripted_model import ScriptedModel, calls, says

agents = pytest.importorskip("agents")


@progress
def count_pages(book: str, pages: int) -> str:  # type: ignore[misc]
    """Counts the pages of a book.

    Args:
        book: the title
        pages: how many to look at
    """
    for page in range(pages):
        yield {"progress": (page + 1) / pages, "status": f"page {page + 1}"}
    return f"{book} has {pages} pages"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    script = calls(("count_pages", {"book": "Emma", "pages": 4})), says("Four pages.")
    with ScriptedModel(*script) as server:
        yield server


def agent_of(model: ScriptedModel) -> object:
    agents.set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0)
    chat = agents.OpenAIChatCompletionsModel(model="scripted", openai_client=client)
    return agents.Agent(name="Librarian", model=chat, tools=[agents.function_tool(count_pages)])


def check(model: ScriptedModel, names: list[str], progress_seen: list[float], answer: str) -> None:
    assert answer == "Four pages."
    assert set(names) == {"count_pages"}
    assert progress_seen == sorted(progress_seen)
    assert progress_seen[-1] == 1.0
    assert model.requests[1]["messages"][-1]["content"] == "Emma has 4 pages"
    (operation,) = get_progress_registry().operations()
    assert (operation.status, operation.message) == (Status.COMPLETED, "page 4")


def test_the_framework_builds_its_schema_from_the_function(model: ScriptedModel) -> None:
    tool = agents.function_tool(count_pages)
    assert (tool.name, tool.description) == ("count_pages", "Counts the pages of a book.")
    assert tool.params_json_schema["properties"]["pages"]["type"] == "integer"
    assert tool.params_json_schema["properties"]["book"]["description"] == "the title"


def test_a_run_is_watched_from_async_code(model: ScriptedModel) -> None:
    async def main() -> None:
        stream = ProgressStream(agents.Runner.run, agent_of(model), "How many pages has Emma?")
        events = [event async for event in stream]
        names = [event.data["name"] for event in events]
        check(model, names, [event.progress for event in events], stream.result.final_output)

    asyncio.run(main())


def test_a_run_is_watched_from_plain_code(model: ScriptedModel) -> None:
    def ask() -> str:
        with asyncio.Runner() as loop_of_this_thread:  # run_sync would make one and never close it
            asyncio.set_event_loop(loop_of_this_thread.get_loop())
            return in_default_loop()

    def in_default_loop() -> str:
        return agents.Runner.run_sync(agent_of(model), "How many pages has Emma?").final_output

    stream = ProgressStream(ask)
    events = list(stream)
    check(model, [event.data["name"] for event in events], [event.progress for event in events], stream.result)
