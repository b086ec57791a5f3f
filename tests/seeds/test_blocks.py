"""The seeds' own Python blocks, taken from their markdown: they run with only the import lines substituted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from midspan import Status, get_progress_registry
from tests.compat.scripted_model import ScriptedModel, calls, says
from tests.seeds.reading import S0, S4, blocks, needs_seeds, run_block

pytestmark = needs_seeds


def test_every_python_block_of_s0_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """All in one namespace, as somebody would who reads along."""
    names: dict[str, Any] = {"__name__": "seed"}
    found = blocks(S0)
    assert len(found) == 4
    for block in found:
        run_block(block, names)
    printed = capsys.readouterr().out
    assert "Progress: 100.0% - All steps completed" in printed
    assert "Number of trackers in registry: 2" in printed

    data = asyncio.run(names["process_data"]([1]))
    text = asyncio.run(names["generate_text"]("a prompt"))
    assert data == {"status": "success", "message": "Data processed successfully"}
    assert text["response"] == "Generated text..."
    operations = get_progress_registry().operations()
    assert len(operations) == 4
    assert {operation.status for operation in operations} == {Status.COMPLETED}
    assert {operation.percent_complete for operation in operations} == {100.0}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    with ScriptedModel(says("Nothing yet.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server


def test_every_python_block_of_s4_runs(model: ScriptedModel, capsys: pytest.CaptureFixture[str]) -> None:
    """The free names of the examples are given; the web blocks are served by FastAPI itself."""
    model.replies = [calls(("slow_search", {"query": "information"})), says("Found.")]
    names: dict[str, Any] = {
        "__name__": "seed",
        "time": SimpleNamespace(sleep=lambda seconds: None),
        "do_processing": lambda file: None,
        "process_item": lambda item: item,
        "process": lambda item: item,
        "my_items": ["x", "y", "z"],
    }
    found = blocks(S4)
    assert len(found) == 11
    for block in found:
        run_block(block, names)
    printed = capsys.readouterr().out
    assert "".join(f"{20 * page}% - Searching page {page}\n" for page in range(1, 6)) in printed
    assert "Progress: 33%\nProgress: 67%\nProgress: 100%\n" in printed
    assert names["result"] == ["x", "y", "z"]

    assert names["long_task"]() == "Done!"
    assert names["process_data"]([1, 2])["processed"] == 2
    assert names["my_task"]() == "Complete"
    assert names["outer_task"](["a"]) == "All done"
    assert names["risky_task"]([1]) == {"processed": 1, "errors": []}
    assert {operation.status for operation in get_progress_registry().operations()} == {Status.COMPLETED}
    serve(names["app"], model)


def serve(app: Any, model: ScriptedModel) -> None:
    with TestClient(app) as client:
        model.replies = [calls(("analyze_data", {"data": "x"})), says("Analyzed.")]
        frames = client.post("/analyze", params={"data": "x"}).text.strip().split("\n\n")
        rows = [json.loads(frame.removeprefix("data: ")) for frame in frames]
        assert len(rows) == 11
        assert rows[-1] == {"done": True, "result": "Analyzed."}

        model.replies = [calls(("process_files", {"files": ["a"]})), says("Done.")]
        with client.websocket_connect("/ws/process") as socket:
            assert socket.receive_json() == {"progress": 1.0, "status": "Processing a"}
            assert socket.receive_json()["progress"] == 1.0
