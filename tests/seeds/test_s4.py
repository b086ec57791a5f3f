"""Seed S4, "Progress Streaming": its examples restated, and what each promises.

Same calls and names; only the import lines, the pauses and the bodies of the free functions differ.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from midspan import Agent, ProgressEvent, ProgressStream, Status, get_progress_registry, progress
from tests.compat.scripted_model import ScriptedModel, calls, says

UseModel = Callable[..., ScriptedModel]


@pytest.fixture
def use_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseModel]:
    """Starts a scripted model where `Agent` finds it without being told."""
    started: list[ScriptedModel] = []

    def use(*replies: dict[str, Any]) -> ScriptedModel:
        model = ScriptedModel(*replies).__enter__()
        started.append(model)
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        return model

    yield use
    for model in started:
        model.__exit__(None, None, None)


@progress
def process_files(files: list[str]) -> str:
    """Process multiple files with progress updates."""
    for i, file in enumerate(files):
        yield {"progress": (i + 1) / len(files), "status": f"Processing {file}"}
    return "All files processed"


def test_s4_01_02_05_quick_start(use_model: UseModel) -> None:
    """A generator function is a tool of the agent; what it returns is the tool's result."""
    model = use_model(calls(("process_files", {"files": ["a", "b"]})), says("Done."))
    agent = Agent(tools=[process_files])
    assert agent.run("Process the files") == "Done."
    assert model.requests[1]["messages"][-1]["content"] == "All files processed"


def test_s4_04_docstring_signature_and_name_are_kept() -> None:
    """The agent builds the tool's schema from them."""
    assert process_files.__name__ == "process_files"
    assert process_files.__doc__ == "Process multiple files with progress updates."
    assert str(inspect.signature(process_files)) == "(files: 'list[str]') -> 'str'"


@progress
def long_task() -> str:
    """A task that takes a while."""
    for i in range(10):
        yield {"progress": (i + 1) / 10}
    return "Done!"


def test_s4_02_22_simple_progress_has_no_status() -> None:
    """The progress goes from 0.1 to 1.0, and the status is None."""
    events = list(ProgressStream(long_task))
    assert [event.progress for event in events] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert {event.status for event in events} == {None}
    assert long_task() == "Done!"


@progress
def process_data(data: list) -> dict:
    """Process data with status updates."""
    results = []

    for i, item in enumerate(data):
        yield {
            "progress": (i + 1) / len(data),
            "status": f"Processing item {i + 1} of {len(data)}",
            "current_item": item,
        }
        result = item * 2
        results.append(result)

    return {"processed": len(results), "results": results}


def test_s4_02_03_21_status_messages_and_other_keys() -> None:
    """`status` is the event's status; every other key is in its data."""
    stream = ProgressStream(process_data, [3, 4])
    events = [(event.status, event.data) for event in stream]
    assert events == [
        ("Processing item 1 of 2", {"current_item": 3}),
        ("Processing item 2 of 2", {"current_item": 4}),
    ]
    assert stream.result == {"processed": 2, "results": [6, 8]}


@progress
def my_task() -> str:
    # Basic progress (0.0 to 1.0)
    yield {"progress": 0.5}

    # With status message
    yield {"progress": 0.7, "status": "Almost done..."}

    # With custom data
    yield {
        "progress": 0.9,
        "status": "Finalizing",
        "items_processed": 100,
        "errors": 0,
    }

    return "Complete"


def test_s4_10_11_12_13_14_15_events() -> None:
    """progress: float, status: str or None, data: dict, timestamp: datetime, type, and a dict() that is JSON."""
    events = list(ProgressStream(my_task))
    assert [(event.progress, event.status, event.data) for event in events] == [
        (0.5, None, {}),
        (0.7, "Almost done...", {}),
        (0.9, "Finalizing", {"items_processed": 100, "errors": 0}),
    ]
    for event in events:
        assert isinstance(event, ProgressEvent)
        assert isinstance(event.progress, float)
        assert isinstance(event.timestamp, datetime)
        assert event.type == "progress"
        assert json.loads(json.dumps(event.dict()))["progress"] == event.progress


@progress
def slow_search(query: str) -> str:
    for i in range(5):
        yield {"progress": (i + 1) / 5, "status": f"Searching page {i + 1}"}
    return "Search complete"


def test_s4_06_consuming_with_an_agent(use_model: UseModel, capsys: pytest.CaptureFixture[str]) -> None:
    """`agent.run(prompt, on_progress=callback)` calls back with each event."""
    use_model(calls(("slow_search", {"query": "information"})), says("I found it."))
    agent = Agent(tools=[slow_search])

    # Run with progress callback
    def on_progress(event: ProgressEvent) -> None:
        print(f"{event.progress * 100:.0f}% - {event.status}")

    result = agent.run("Search for information", on_progress=on_progress)
    assert result == "I found it."
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{20 * page}% - Searching page {page}" for page in range(1, 6)]


@progress
def batch_process(items: list) -> list:
    for i, _ in enumerate(items):
        yield {"progress": (i + 1) / len(items)}
    return items


def test_s4_08_09_direct_streaming(capsys: pytest.CaptureFixture[str]) -> None:
    """`ProgressStream(fn, **kwargs)` iterates the events, then has the result."""
    my_items = ["x", "y", "z"]

    # Get stream
    stream = ProgressStream(batch_process, items=my_items)

    # Iterate over progress events
    for event in stream:
        print(f"Progress: {event.progress * 100:.0f}%")

    # Get final result
    result = stream.result

    assert result is my_items
    assert capsys.readouterr().out == "Progress: 33%\nProgress: 67%\nProgress: 100%\n"


@progress
def analyze_data(data: str) -> dict:
    for i in range(10):
        yield {"progress": (i + 1) / 10, "step": f"Step {i + 1}"}
    return {"result": "Analysis complete"}


def web_app() -> FastAPI:
    app = FastAPI()

    @app.post("/analyze")
    async def analyze(data: str) -> StreamingResponse:
        agent = Agent(tools=[analyze_data])

        async def event_stream() -> AsyncIterator[str]:
            async for event in agent.arun_stream(f"Analyze: {data}"):
                if event.type == "progress":
                    yield f"data: {json.dumps(event.dict())}\n\n"
                elif event.type == "result":
                    yield f"data: {json.dumps({'done': True, 'result': event.data})}\n\n"

        return StreamingResponse(event_stream(), media_type="text/event-stream")

    async def websocket_process(websocket: WebSocket) -> None:
        await websocket.accept()

        agent = Agent(tools=[process_files])

        async for event in agent.arun_stream("Process the files"):
            await websocket.send_json({
                "progress": event.progress,
                "status": event.status,
            })  # fmt: skip

        await websocket.close()

    app.add_api_websocket_route("/ws/process", websocket_process)
    return app


def test_s4_07_16_server_sent_events(use_model: UseModel) -> None:
    """Progress events with their data, then done with the result, as text/event-stream."""
    use_model(calls(("analyze_data", {"data": "x"})), says("Analyzed."))
    with TestClient(web_app()) as client:
        answer = client.post("/analyze", params={"data": "x"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = answer.text.strip().split("\n\n")
    rows = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    assert [row["data"]["step"] for row in rows[:-1]] == [f"Step {i + 1}" for i in range(10)]
    assert rows[-1] == {"done": True, "result": "Analyzed."}


def test_s4_17_web_socket(use_model: UseModel) -> None:
    """Progress and status as JSON messages, then closed."""
    use_model(calls(("process_files", {"files": ["a", "b"]})), says("Done."))
    with TestClient(web_app()) as client, client.websocket_connect("/ws/process") as socket:
        rows = [socket.receive_json() for _ in range(3)]
        assert socket.receive()["type"] == "websocket.close"
    assert rows == [
        {"progress": 0.5, "status": "Processing a"},
        {"progress": 1.0, "status": "Processing b"},
        {"progress": 1.0, "status": None},
    ]


@progress
def outer_task(items: list) -> str:
    for i, _ in enumerate(items):
        base_progress = i / len(items)

        # Sub-task progress within outer progress
        for j in range(3):
            sub_progress = (j + 1) / 3
            total_progress = base_progress + sub_progress / len(items)

            yield {
                "progress": total_progress,
                "status": f"Item {i + 1}, step {j + 1}",
            }

    return "All done"


def test_s4_18_nested_progress_by_hand() -> None:
    """The sums of the example arrive as they are."""
    stream = ProgressStream(outer_task, ["a", "b"])
    assert [event.progress for event in stream] == pytest.approx([(n + 1) / 6 for n in range(6)])
    assert stream.result == "All done"


def test_s4_18_nested_progress_by_itself() -> None:
    """The same numbers without any sums: decorated calls inside roll up."""
    shown: list[float | None] = []

    @progress
    def sub_task() -> Iterator[dict[str, float]]:
        for j in range(3):
            yield {"progress": (j + 1) / 3}
            (outer,) = get_progress_registry().operations(operation_types=["outer"])
            shown.append(outer.progress)

    @progress(operation_type="outer", expect_children=len)
    def outer(items: list[str]) -> Iterator[dict[str, str]]:
        for i, _ in enumerate(items):
            yield {"status": f"Item {i + 1}"}
            sub_task()

    outer(["a", "b"])
    assert shown == pytest.approx([(n + 1) / 6 for n in range(6)])


def process(item: int) -> float:
    return 1 / item


@progress
def risky_task(data: list) -> dict:
    processed = []
    errors = []

    for i, item in enumerate(data):
        yield {"progress": (i + 1) / len(data)}

        try:
            result = process(item)
            processed.append(result)
        except Exception as e:
            errors.append({"item": item, "error": str(e)})

    return {"processed": len(processed), "errors": errors}


def test_s4_19_errors_of_items_are_collected() -> None:
    """One bad item does not end the task."""
    assert risky_task([1, 0, 2]) == {"processed": 2, "errors": [{"item": 0, "error": "division by zero"}]}
    assert get_progress_registry().operations()[0].status is Status.COMPLETED


def test_s4_20_many_updates_do_not_flood() -> None:
    """Readers get the newest state of an operation, however many updates lie between."""

    @progress
    def flooding() -> Iterator[dict[str, float]]:
        for i in range(10_000):
            yield {"progress": (i + 1) / 10_000}

    with get_progress_registry().subscribe(eager=True) as changes:
        flooding()
        pending = changes.take()
    assert len(pending) == 1
    assert len(pending[0].history) <= 64
