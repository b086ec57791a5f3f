"""Jobs, rate limits and streams over real HTTP, at a server that others have written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import midspan
from midspan.testing import Captured
from midspan_instrumentation.jobs import _polling
from tests.fakes.aimock import aimock
from tests.fakes.openai_calls import sync_client

BATCH: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aimock(tmp_path_factory.mktemp("aimock")) as found:
        yield f"{found}/v1"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with sync_client(url) as client:
        yield client


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks as often as it can."""
    monkeypatch.setattr(_polling, "LONGEST_SECONDS", 0.01)
    monkeypatch.setattr(_polling, "FIRST_SECONDS", 0.01)


def requests(client: openai.OpenAI, count: int) -> str:
    """A file with so many requests."""
    line = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}
    lines = [json.dumps({"custom_id": str(number), **line}) for number in range(count)]
    return client.files.create(file=("requests.jsonl", "\n".join(lines).encode()), purpose="batch").id


def test_a_batch_from_its_making_to_its_end(client: openai.OpenAI, seen: Captured) -> None:
    made = client.batches.create(input_file_id=requests(client, 3), **BATCH)
    shown = list(midspan.watch(made))
    assert [each.stage for each in shown] == ["in_progress", "in_progress"]
    assert (shown[-1].status, shown[-1].completed, shown[-1].total) == ("completed", 3, 3)
    assert [each.operation_id for each in seen.operations] == [made.id]
    assert seen.operations[0].stages_completed == ("validating", "in_progress")


@pytest.mark.parametrize(
    ("outcome", "status", "error"), [("failed", "failed", "mock_failure"), ("expired", "failed", "expired")]
)
def test_a_batch_that_fails(client: openai.OpenAI, seen: Captured, outcome: str, status: str, error: str) -> None:
    headers = {"X-AIMock-Batch-Outcome": outcome}
    made = client.batches.create(input_file_id="file_1", extra_headers=headers, **BATCH)
    *_, last = midspan.watch(made)
    assert (last.status, last.error and last.error.type) == (status, error)


def test_a_batch_that_the_application_cancels(client: openai.OpenAI, seen: Captured) -> None:
    made = client.batches.create(input_file_id="file_1", **BATCH)
    client.batches.cancel(made.id)
    assert [each.status for each in midspan.watch(made)][-1] == "cancelled"
    assert "cancelling" in seen.operations[0].stages_completed


def test_a_fine_tuning_from_its_making_to_its_end(client: openai.OpenAI, seen: Captured) -> None:
    file = client.files.create(file=("data.jsonl", b'{"messages": []}\n' * 10), purpose="fine-tune")
    made = client.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=file.id)
    *_, last = midspan.watch(made)
    assert (last.operation_type, last.status, last.model) == ("fine_tuning", "completed", "gpt-4o-mini-2024-07-18")
    assert last.stages_completed == ("validating_files", "queued", "running")
    assert len(seen.operations) == 1


def test_a_rate_limit_while_looking(url: str, seen: Captured) -> None:
    """The server wants to be left alone for a second."""
    with sync_client(url) as client:
        made = client.batches.create(input_file_id="file_1", **BATCH)
    with sync_client(url, default_headers={"X-AIMock-Chaos-Ratelimit": "1"}) as limited:
        follow: Any = midspan.watch(made, client=limited, timeout=0.05)
        with pytest.raises(TimeoutError):
            list(follow)
    assert follow.trouble.startswith("RateLimitError")
    assert seen.operations[0].status == "running"


def test_a_paced_stream_and_one_that_is_cut(client: openai.OpenAI, seen: Captured) -> None:
    def ask(what: str) -> int:
        messages: Any = [{"role": "user", "content": what}]
        return len(list(client.chat.completions.create(model="m", messages=messages, stream=True)))

    assert ask("slowly") > 3
    with pytest.raises(openai.APIConnectionError):
        ask("cut")
    assert [each.status for each in seen.operations] == ["completed", "failed"]


# --- the command ------------------------------------------------------------------------------------


@pytest.fixture
def watch(url: str) -> Callable[..., subprocess.Popen[str]]:
    """Starts `midspan watch` with these arguments."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        command = [sys.executable, "-m", "midspan", "watch", *arguments]
        return subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    return start


def test_the_command_shows_a_batch_to_its_end(
    client: openai.OpenAI, watch: Callable[..., subprocess.Popen[str]]
) -> None:
    made = client.batches.create(input_file_id=requests(client, 3), **BATCH)
    process = watch("openai", made.id)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    lines = said.splitlines()
    assert f"midspan: batch [{made.id[-6:]}] in_progress" in lines[0]
    assert any(f"batch [{made.id[-6:]}] completed" in line for line in lines)
    assert "midspan: 1 operation: 1 completed" in lines


def test_ctrl_c_leaves_the_job_alone(client: openai.OpenAI, watch: Callable[..., subprocess.Popen[str]]) -> None:
    made = client.fine_tuning.jobs.create(model="m", training_file="file_1")
    process = watch("openai", made.id)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=30) == 130
    assert "queued" in first
    assert "midspan: not watched any more; the job goes on at openai" in rest.splitlines()
    assert client.fine_tuning.jobs.retrieve(made.id).status == "running"
