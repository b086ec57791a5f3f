"""What the seeds promise of a running server, asked of `python -m midspan serve`."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from midspan.client import MCPClient, stream_progress
from tests.environ import clean_environ

Eventually = Callable[..., None]

TASKS = """
import queue
import midspan

@midspan.task("ask-question")
def ask_question(question: str):
    tracker = midspan.get_progress_tracker()
    tracker.enter_stage("analyzing_rag", "Mapping")
    tracker.enter_stage("generating_llm", "Writing")
    return {"response": question}

asked = {}

@midspan.task("plan")
def plan():
    tracker = midspan.get_progress_tracker()
    answer = asked[tracker.operation_id] = queue.SimpleQueue()
    tracker.enter_stage("waiting_for_input", "May I delete 3 files?")
    approved = answer.get(timeout=30)
    tracker.enter_stage("deleting")
    return {"deleted": 3 if approved else 0}

@midspan.task("answer")
def answer(operation_id: str, approved: bool):
    asked.pop(operation_id).put(approved)

@midspan.task("broken")
def broken():
    raise ValueError("no data")
"""


class Served:
    """The process, its address, and what it has said on stderr."""

    def __init__(self, tasks: Path) -> None:
        command = [sys.executable, "-m", "midspan", "serve", "--port", "0", "--tasks", str(tasks)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environ(MIDSPAN_LOG="json")
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = int(line.split("http://127.0.0.1:")[1].split()[0])
        self.client = httpx2.Client(base_url=self.url, timeout=20, verify=False)
        self.said: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=20)
        self._reading.join(timeout=10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, task: str, **arguments: object) -> str:
        return self.client.post(f"/v1/tasks/{task}", json=arguments).json()["operation_id"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    tasks = tmp_path_factory.mktemp("tasks") / "tasks_of_the_seeds.py"
    tasks.write_text(TASKS, "utf-8")
    process = Served(tasks)
    yield process
    process.stop()


def ended(served: Served, eventually: Eventually, operation_id: str) -> dict[str, object]:
    path = f"/v1/operations/{operation_id}"
    eventually(lambda: served.client.get(path).json()["ended_at"] is not None)
    return served.client.get(path).json()


def test_s3_21_52_the_monitor_is_started_from_the_command_line(served: Served, eventually: Eventually) -> None:
    """And answers what the seed asks with curl and wscat."""
    session_id = served.run("ask-question", question="yes?")
    ended(served, eventually, session_id)
    assert served.client.get("/api/monitoring/statistics").json()["completed_sessions"] >= 1
    assert served.client.get("/api/monitoring/sessions/active").status_code == 200
    with connect(f"ws://localhost:{served.port}/ws/monitoring", open_timeout=10) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "snapshot"


def test_s3_55_63_what_has_ended_can_be_analysed(served: Served, eventually: Eventually) -> None:
    """Durations and the time of each stage, of the last hour."""
    ended(served, eventually, served.run("ask-question", question="how long?"))
    statistics = served.client.get("/v1/statistics", params={"window": "1h"}).json()
    assert statistics["duration_seconds"]["p95"] > 0
    assert {"analyzing_rag", "generating_llm"} <= set(statistics["stage_seconds"])


def test_s3_57_sessions_are_exported(served: Served, eventually: Eventually) -> None:
    operation_id = served.run("ask-question", question="exported?")
    ended(served, eventually, operation_id)
    text = served.client.get("/v1/export", params={"format": "csv"}).text
    assert operation_id in {row["operation_id"] for row in csv.DictReader(io.StringIO(text))}
    exported = served.client.get("/v1/export", params={"format": "json"}).json()
    rows = exported["operations"] if isinstance(exported, dict) else exported
    assert operation_id in {row["operation_id"] for row in rows}


def test_s3_60_metrics_for_prometheus(served: Served, eventually: Eventually) -> None:
    ended(served, eventually, served.run("ask-question", question="counted?"))
    page = served.client.get("/metrics").text
    assert "midspan_operation_ended_total{" in page
    assert 'midspan_operation_name="ask-question"' in page


def test_s3_62_failures_are_structured_log_lines(served: Served, eventually: Eventually) -> None:
    operation_id = served.run("broken")
    eventually(lambda: any(line.startswith("{") and operation_id in line for line in served.said))
    line = next(json.loads(line) for line in served.said if line.startswith("{") and operation_id in line)
    assert "ValueError" in json.dumps(line)


def test_s1_32_a_person_is_asked_and_the_task_goes_on_with_the_answer(served: Served, eventually: Eventually) -> None:
    """The question is a stage and its message; the answer is a task of its own, over HTTP, or over MCP as here."""
    operation_id = served.run("plan")
    path = f"/v1/operations/{operation_id}"
    eventually(lambda: served.client.get(path).json()["stage"] == "waiting_for_input")
    assert served.client.get(path).json()["message"] == "May I delete 3 files?"
    given = {"task_type": "answer", "arguments": {"operation_id": operation_id, "approved": True}}
    answered = asyncio.run(MCPClient(served.url).call_and_parse("start_long_task", given))
    assert answered["status"] == "success"
    assert ended(served, eventually, operation_id)["result"] == {"deleted": 3}


def test_s0_07_what_has_ended_is_kept_for_whoever_asks_for_it_later(served: Served, eventually: Eventually) -> None:
    """By its id, with its history and its result, from another process as well."""
    operation_id = served.run("ask-question", question="kept?")
    kept = ended(served, eventually, operation_id)
    assert (kept["status"], kept["result"]) == ("completed", {"response": "kept?"})
    assert kept["stages_completed"] == ["analyzing_rag", "generating_llm"]
    assert operation_id in served.client.get("/progress/operations").json()


def test_s1_33_progress_of_another_server_is_taken_in(served: Served) -> None:
    """Reported over HTTP, it is shown like any other."""
    body = {"name": "import", "total_steps": 4}
    created = served.client.post("/v1/operations", json=body)
    assert created.status_code == 201
    path = created.headers["location"]
    served.client.patch(path, json={"step": 3, "message": "Processing step 3/4"})
    operation_id = created.json()["operation_id"]
    served.client.patch(path, json={"status": "completed", "message": "Completed 4 steps successfully"})
    seen: list[str] = []
    last = asyncio.run(stream_progress(served.url, operation_id, lambda data: seen.append(data["message"])))
    assert (last["final_status"], seen) == ("completed", ["Completed 4 steps successfully"])


def test_s1_16_the_port_is_the_readers_choice(served: Served) -> None:
    """The seed's example has 8081; ours is 9465 unless it is said otherwise (ruling C20)."""
    assert served.port not in (0, 8000, 8081, 9465)
    assert served.client.get("/healthz").text == "ok"
