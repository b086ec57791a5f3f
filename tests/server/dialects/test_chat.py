"""Seed S2's events over a real server: enhanced and legacy, the start of its task, and its progress."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from midspan.compat.chat import ProgressTracker
from midspan.models import Status
from midspan.server import sse
from midspan.server.app import create_app
from midspan.server.dialects.chat import task_info
from midspan.server.embedded import EmbeddedServer
from midspan.testing import FakeClock
from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry, get_progress_tracker
from tests.server.conftest import Serving, Switch, page_of_metrics
from tests.server.dialects.following import following
from tests.server.started import fixtures_of

Eventually = Callable[..., None]

ENHANCED = "/api/v1/streaming-chat"
LEGACY = "/api/v1/async-chat"
QUESTION = {
    "deity_id": "guan_yu",
    "fortune_number": 40,
    "question": "我下週的面試會順利嗎?",
    "enable_streaming": True,
    "language": "zh",
}
RESULT = {"response": "根據您的問題...", "confidence": 84, "processing_time_ms": 5000}


def ask_question(
    deity_id: str, fortune_number: int, question: str, enable_streaming: bool = True, language: str = "zh"
) -> dict[str, Any]:
    tracker = get_progress_tracker()
    tracker.enter_stage("analyzing_rag", "正在映射神明識別碼...")
    return {"response": f"{deity_id} {fortune_number} {language}", "confidence": 84}


tasks, asked = fixtures_of({"ask-question": ask_question})


@pytest.fixture
def task(registry: ProgressRegistry) -> ProgressTracker:
    registry.create_tracker("task_123", metadata={"deity_id": "guan_yu", "fortune_number": 40})
    return ProgressTracker("task_123", registry=registry)


def run_through(task: ProgressTracker, clock: FakeClock) -> None:
    """What the seed's example shows, half a second apart."""
    for stage, percent, message in (
        ("processing", 5, "初始化處理流程..."),
        ("analyzing_rag", 25, "正在映射神明識別碼..."),
        ("generating_llm", 65, "正在分析籤詩內容..."),
    ):
        task.update(stage, percent, message)
        clock.advance(0.5)
    task.complete(RESULT, "解釋生成完成")


def rows(client: httpx2.Client, path: str) -> list[dict[str, Any]]:
    lines = client.get(path).text.split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_s2_01_09_10_11_14_15_16_17_18_the_enhanced_events_of_a_whole_task(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    with following(client, f"{ENHANCED}/sse/task_123") as stream:
        eventually(lambda: len(stream.data) == 1)
        run_through(task, clock)
        assert stream.over.wait(10)
    assert stream.data[0] == {
        "type": "enhanced_status",
        "status": "queued",
        "progress": 0,
        "task_info": {"deity_id": "guan_yu", "fortune_number": 40},
    }
    steps = [row for row in stream.data if row["type"] == "enhanced_progress"]
    assert [(row["stage"], row["progress"]) for row in steps] == [
        ("processing", 5),
        ("analyzing_rag", 25),
        ("generating_llm", 65),
        ("completed", 100),
    ]
    assert steps[1] == {
        "type": "enhanced_progress",
        "stage": "analyzing_rag",
        "progress": 25,
        "message": "正在映射神明識別碼...",
        "timestamp": "2023-11-14T22:13:20.500Z",
    }
    assert stream.data[-1] == {
        "type": "enhanced_complete",
        "result": RESULT,
        "summary": {
            "total_processing_time": 1500,
            "stages_completed": ["processing", "analyzing_rag", "generating_llm", "completed"],
        },
    }


def test_s2_05_22_frames_are_data_only_and_raw_utf_8(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock
) -> None:
    """`onmessage` is called for unnamed events only (ruling C8)."""
    run_through(task, clock)
    answer = client.get(f"{ENHANCED}/sse/task_123")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "event:" not in answer.text
    assert "解釋生成完成" in answer.content.decode("utf-8")
    assert "\\u" not in answer.text


def test_s2_06_07_08_25_the_legacy_events(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    with following(client, f"{LEGACY}/sse/task_123") as stream:
        eventually(lambda: len(stream.data) == 1)
        run_through(task, clock)
        assert stream.over.wait(10)
    assert stream.data == [
        {"type": "status", "status": "queued", "progress": 0},
        {"type": "progress", "status": "processing", "progress": 5},
        {"type": "progress", "status": "analyzing_rag", "progress": 25},
        {"type": "progress", "status": "generating_llm", "progress": 65},
        {"type": "complete", "result": RESULT},
    ]


def test_s2_26_33_one_task_in_both_vocabularies_at_once(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    """The client chooses how much it wants to know, by the path."""
    with (
        following(client, f"{ENHANCED}/sse/task_123") as enhanced,
        following(client, f"{LEGACY}/sse/task_123") as legacy,
    ):
        eventually(lambda: enhanced.data and legacy.data)
        run_through(task, clock)
        assert enhanced.over.wait(10) and legacy.over.wait(10)
    assert enhanced.data[-1]["type"] == "enhanced_complete"
    assert legacy.data[-1]["type"] == "complete"


@pytest.mark.parametrize(("path", "kind"), [(ENHANCED, "enhanced_error"), (LEGACY, "error")])
def test_s2_12_a_failure_ends_with_its_error(
    task: ProgressTracker, client: httpx2.Client, path: str, kind: str
) -> None:
    task.fail(ConnectionError("no answer from the model"))
    assert rows(client, f"{path}/sse/task_123")[-1] == {"type": kind, "error": "no answer from the model"}


def test_s2_36_a_failure_says_in_which_stage_it_happened(task: ProgressTracker, client: httpx2.Client) -> None:
    task.update("analyzing_rag", 25, "mapping")
    task.fail("no such deity")
    info = client.get(f"{ENHANCED}/progress/task_123").json()
    assert (info["current_status"], info["tracker_info"]["current_stage"]) == ("failed", "analyzing_rag")
    assert info["current_progress"] == 25


def test_a_cancelled_task_is_an_error_that_says_so(task: ProgressTracker, client: httpx2.Client) -> None:
    task.tracker.cancel("not needed")
    assert rows(client, f"{ENHANCED}/sse/task_123")[-1] == {"type": "enhanced_error", "error": "cancelled"}


def test_s2_13_the_heartbeat_is_an_enhanced_ping(
    task: ProgressTracker, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    with following(client, f"{ENHANCED}/sse/task_123") as stream:
        eventually(lambda: any(row["type"] == "enhanced_ping" for row in stream.data))
        task.complete({})
    ping = next(row for row in stream.data if row["type"] == "enhanced_ping")
    assert ping == {"type": "enhanced_ping", "connection_alive_seconds": 0}


def test_a_stream_that_could_go_on_ends_without_an_event(
    task: ProgressTracker, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What midspan's own streams say then has a name, and nobody here listens to names."""
    monkeypatch.setattr(sse, "MAX_AGE_SECONDS", 0.0)
    text = client.get(f"{ENHANCED}/sse/task_123").text
    assert text.endswith(": bye\n\n")
    assert "event:" not in text


def test_s2_35_an_update_inside_a_stage_is_seen_within_a_pulse(
    task: ProgressTracker, client: httpx2.Client, registry: ProgressRegistry, clock: FakeClock, eventually: Eventually
) -> None:
    task.update("analyzing_rag", 25, "mapping")
    with following(client, f"{ENHANCED}/sse/task_123") as stream:
        for percent, message in ((35, "finding"), (45, "retrieving")):
            task.update("analyzing_rag", percent, message)
            registry.pulse(clock())
            eventually(lambda wanted=percent: stream.data[-1]["progress"] == wanted)
        task.complete({})
        assert stream.over.wait(10)
    steps = [row["progress"] for row in stream.data if row["type"] == "enhanced_progress"]
    assert steps == [25, 35, 45, 100]


def test_progress_that_says_nothing_new_is_not_sent_again(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock
) -> None:
    """A task that ends its own stages with `completed` does not end twice."""
    task.update("completed", 100, "all done")
    task.complete({})
    kinds = [(row["type"], row["progress"]) for row in rows(client, f"{ENHANCED}/sse/task_123") if "progress" in row]
    assert kinds == [("enhanced_status", 100), ("enhanced_progress", 100)]


def test_a_task_without_a_result_has_an_empty_one(task: ProgressTracker, client: httpx2.Client) -> None:
    """The seed's page reads `data.result.response`."""
    task.complete()
    assert rows(client, f"{ENHANCED}/sse/task_123")[-1]["result"] == {}


def test_s2_34_a_reader_that_comes_late_is_told_every_stage(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock
) -> None:
    """With the messages and the times of then."""
    run_through(task, clock)
    steps = [row for row in rows(client, f"{ENHANCED}/sse/task_123") if row["type"] == "enhanced_progress"]
    assert [(row["stage"], row["progress"], row["message"], row["timestamp"][17:]) for row in steps] == [
        ("processing", 5, "初始化處理流程...", "20.000Z"),
        ("analyzing_rag", 25, "正在映射神明識別碼...", "20.500Z"),
        ("generating_llm", 65, "正在分析籤詩內容...", "21.000Z"),
        ("completed", 100, "解釋生成完成", "21.500Z"),
    ]


def test_a_reader_that_comes_back_is_told_what_it_has_missed(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock
) -> None:
    task.update("processing", 5, "begins")
    path = f"{ENHANCED}/sse/task_123"
    with client.stream("GET", path) as stream:
        last = next(line.removeprefix("id: ") for line in stream.iter_lines() if line.startswith("id: "))
    task.update("analyzing_rag", 25, "mapping")
    task.complete({})
    text = client.get(path, headers={"last-event-id": last}).text
    steps = [json.loads(line[6:]) for line in text.split("\n") if line.startswith('data: {"type":"enhanced_progress"')]
    assert [row["stage"] for row in steps] == ["analyzing_rag", "completed"]


def test_a_browser_that_comes_back_after_the_end_is_told_to_stop(task: ProgressTracker, client: httpx2.Client) -> None:
    """`EventSource` connects again after each end; 204 is the one answer that stops it."""
    task.complete({})
    text = client.get(f"{ENHANCED}/sse/task_123").text
    last = [line.removeprefix("id: ") for line in text.split("\n") if line.startswith("id: ")][-1]
    again = client.get(f"{ENHANCED}/sse/task_123", headers={"last-event-id": last})
    assert (again.status_code, again.content) == (204, b"")
    assert client.get(f"{ENHANCED}/sse/task_123", headers={"last-event-id": "1-1"}).status_code == 200


def test_s2_23_24_the_progress_with_the_number_of_subscribers(
    task: ProgressTracker, client: httpx2.Client, clock: FakeClock, eventually: Eventually
) -> None:
    task.update("generating_llm", 75, "結合傳統智慧與現代解釋...")
    clock.advance(3.45)
    with following(client, f"{ENHANCED}/sse/task_123") as stream:
        eventually(lambda: stream.data)
        assert client.get(f"{ENHANCED}/progress/task_123").json() == {
            "task_id": "task_123",
            "current_status": "generating_llm",
            "current_progress": 75,
            "status_message": "結合傳統智慧與現代解釋...",
            "tracker_active": True,
            "tracker_info": {
                "current_stage": "generating_llm",
                "elapsed_time_seconds": 3.45,
                "subscribers_count": 1,
            },
        }
        task.complete({})
    eventually(lambda: client.get(f"{ENHANCED}/progress/task_123").json()["tracker_info"]["subscribers_count"] == 0)


def test_the_status_is_a_stage_only_while_it_runs(task: ProgressTracker, client: httpx2.Client) -> None:
    """Ruling C21."""
    path = f"{ENHANCED}/progress/task_123"
    assert client.get(path).json()["current_status"] == "queued"
    task.update("generating_llm", 75, "on")
    task.complete({})
    ended = client.get(path).json()
    assert (ended["current_status"], ended["tracker_active"]) == ("completed", False)


@pytest.mark.parametrize("path", [ENHANCED, LEGACY])
def test_s2_19_20_asking_starts_the_task_and_says_where_to_watch_it(
    asked: httpx2.Client, registry: ProgressRegistry, eventually: Eventually, path: str
) -> None:
    answer = asked.post(f"{path}/ask-question", json=QUESTION)
    body = answer.json()
    task_id = body["task_id"]
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/operations/{task_id}"
    assert body == {
        "task_id": task_id,
        "sse_url": f"/api/v1/async-chat/sse/{task_id}",
        "enhanced_sse_url": f"/api/v1/streaming-chat/sse/{task_id}",
        "status": "queued",
        "streaming_enabled": True,
    }
    eventually(lambda: registry.operations(statuses=[Status.COMPLETED]))
    last = rows(asked, body["enhanced_sse_url"])
    assert last[-1]["result"] == {"response": "guan_yu 40 zh", "confidence": 84}
    assert last[0]["task_info"] == {"deity_id": "guan_yu", "fortune_number": 40, "streaming_enabled": True}


def test_the_paths_that_it_names_are_below_the_prefix_of_a_mount(
    served: tuple[Switch, EmbeddedServer], registry: ProgressRegistry, tasks: Tasks
) -> None:
    switch, server = served
    switch.app = Starlette(routes=[Mount("/midspan", create_app(registry, metrics=page_of_metrics, tasks=tasks))])
    with httpx2.Client(base_url=server.url, timeout=20, verify=False) as client:
        answer = client.post(f"/midspan{ENHANCED}/ask-question", json=QUESTION)
        assert answer.headers["location"].startswith("/midspan/v1/operations/")
        for name in ("sse_url", "enhanced_sse_url"):
            assert client.get(answer.json()[name]).status_code == 200


def test_the_text_of_a_question_is_not_shown() -> None:
    """Numbers, switches and ids are; what somebody has written is not."""
    shown = task_info({**QUESTION, "user_id": "u1", "note": "secret", "score": 0.5, "nested": {"a": 1}})
    assert shown == {
        "deity_id": "guan_yu",
        "fortune_number": 40,
        "user_id": "u1",
        "score": 0.5,
        "streaming_enabled": True,
    }


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({**QUESTION, "fortune_number": "forty"}, 422, "fortune_number"),
        ({"deity_id": "guan_yu"}, 422, "fortune_number"),
        ({**QUESTION, "surprise": 1}, 422, "surprise"),
        ([1, 2], 422, "object"),
    ],
)
def test_a_bad_question_is_refused_and_says_what_is_wrong(
    asked: httpx2.Client, registry: ProgressRegistry, body: object, status: int, said: str
) -> None:
    answer = asked.post(f"{ENHANCED}/ask-question", json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert said in answer.json()["detail"]
    assert registry.operations() == []


def test_a_body_that_is_no_json_is_refused(asked: httpx2.Client) -> None:
    headers = {"content-type": "application/json"}
    assert asked.post(f"{ENHANCED}/ask-question", content="{", headers=headers).status_code == 400
    assert asked.post(f"{ENHANCED}/ask-question", content="a=1").status_code == 415


def test_without_such_a_task_it_says_so(client: httpx2.Client) -> None:
    answer = client.post(f"{ENHANCED}/ask-question", json=QUESTION)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "there is no task 'ask-question'; there are: none"}


def test_an_unknown_task_is_a_404(client: httpx2.Client) -> None:
    for path in (f"{ENHANCED}/sse/nobody", f"{LEGACY}/sse/nobody", f"{ENHANCED}/progress/nobody"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found"})


def test_s2_21_23_32_the_token_comes_in_the_query_or_in_the_header(
    serving: Serving, registry: ProgressRegistry, tasks: Tasks, task: ProgressTracker
) -> None:
    """In the query for streams alone: `EventSource` cannot send a header (ruling C12)."""
    task.complete({})
    bearer = {"authorization": "Bearer jwt"}
    with serving(registry, tasks=tasks, token="write:jwt") as client:
        for path in (f"{ENHANCED}/sse/task_123", f"{LEGACY}/sse/task_123"):
            assert client.get(path).status_code == 401
            assert client.get(path, params={"token": "wrong"}).status_code == 401
            assert client.get(path, params={"token": "jwt"}).status_code == 200
            assert client.get(path, headers=bearer).status_code == 200
        assert client.get(f"{ENHANCED}/progress/task_123", params={"token": "jwt"}).status_code == 401
        assert client.get(f"{ENHANCED}/progress/task_123", headers=bearer).status_code == 200
        assert client.post(f"{ENHANCED}/ask-question", json=QUESTION).status_code == 401
        assert client.post(f"{ENHANCED}/ask-question", json=QUESTION, headers=bearer).status_code == 202


def test_more_tasks_than_are_allowed_are_refused(serving: Serving, registry: ProgressRegistry) -> None:
    full = Tasks(registry, max_running=0, max_queued=0)
    full.add(Task.of("ask-question", ask_question, {}))
    with serving(registry, tasks=full) as client:
        answer = client.post(f"{ENHANCED}/ask-question", json=QUESTION)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
