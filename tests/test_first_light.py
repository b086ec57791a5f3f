"""The main job: an unmodified app's call to a real model, read over HTTP while its answer streams."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.environ import clean_environ
from tests.model import EXAMPLES, Model, running_model


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with running_model() as running:
        yield running


def environ(model: Model, **more: str) -> dict[str, str]:
    return clean_environ(**model.environ, **more)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


class App:
    """A program under `midspan run`, and what it says on stderr."""

    def __init__(self, *command: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "midspan", "run", "--server", "127.0.0.1:0", "--", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.lines: list[str] = []
        self._announced = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if "/v1/operations" in line:
                self._announced.set()
        self._announced.set()

    @property
    def url(self) -> str:
        """Where the app's API listens."""
        assert self._announced.wait(30), self.lines
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(self.lines))
        assert found is not None, self.lines
        return found[0]

    def end(self) -> int:
        status = self.process.wait(timeout=90)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


def test_a_streaming_answer_is_seen_with_rising_tokens_and_ends_with_the_servers_own_usage(model: Model) -> None:
    app = App(sys.executable, str(EXAMPLES / "chat.py"), "Tell me about rivers.", env=environ(model))
    seen: list[int] = []
    last: dict[str, Any] = {}
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            (last,) = get(f"{app.url}/v1/operations")["operations"] or [{"status": "none"}]
            if last["status"] not in ("none", "pending", "running"):
                break
            tokens = (last.get("tokens") or {}).get("output")
            if tokens and (not seen or tokens > seen[-1]):
                assert last["stage"] in ("streaming_response", "processing_response")
                assert last["tokens"]["estimated"] or last["stage"] == "processing_response"
                seen.append(tokens)
            time.sleep(0.02)
    except (OSError, ValueError):
        # The app has ended, and its server with it: the last state is on the feed, and in the summary.
        pass
    assert app.end() == 0, app.lines
    assert len(seen) >= 3 and seen == sorted(seen), seen
    assert any("completed" in line for line in app.lines)


LONG_PROMPT = """
import sys
from openai import OpenAI
stream = OpenAI().chat.completions.create(
    model=sys.argv[1], messages=[{"role": "user", "content": "Rivers run to the sea. " * 100}], max_tokens=4,
    stream=True, extra_body={"return_progress": True, "cache_prompt": False},
)
print(sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in stream))
"""


def test_the_processing_of_a_long_prompt_is_seen_in_rising_steps_before_the_first_chunk(model: Model) -> None:
    app = App(sys.executable, "-c", LONG_PROMPT, model.name, env=environ(model))
    seen: list[tuple[float, float]] = []
    try:
        while not seen or app.process.poll() is None:
            (last,) = get(f"{app.url}/v1/operations")["operations"] or [{}]
            part = last.get("stage_progress")
            if part is not None and (part, last["progress"]) not in seen:
                assert (last["stage"], last.get("chunks")) == ("waiting_first_chunk", None)
                seen.append((part, last["progress"]))
            time.sleep(0.02)
    except (OSError, ValueError):
        # The app has ended, and its server with it.
        pass
    assert app.end() == 0, app.lines
    assert len(seen) >= 3 and seen == sorted(seen), seen
    assert all(whole == pytest.approx(part * 0.25) for part, whole in seen), seen


def test_the_completed_operation_has_the_servers_usage_and_a_budget_as_progress(model: Model) -> None:
    script = """
import sys, time
from openai import OpenAI
client = OpenAI()
stream = client.chat.completions.create(
    model=sys.argv[1], messages=[{"role": "user", "content": "Say hello."}], max_tokens=40, seed=7,
    stream=True, stream_options={"include_usage": True},
)
usage = None
for chunk in stream:
    usage = chunk.usage or usage
print(usage.prompt_tokens, usage.completion_tokens, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-m", "midspan", "run", "--server", "127.0.0.1:0", "--", sys.executable, "-c", script]
    with subprocess.Popen(
        [*command, model.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environ(model),
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr and process.stdin
        prompt_tokens, completion_tokens = map(int, process.stdout.readline().split())
        announced = ""
        while "/v1/operations" not in announced:
            announced = process.stderr.readline()
            assert announced, "the server was never announced"
        found = re.search(r"http://127\.0\.0\.1:\d+", announced)
        assert found is not None
        (operation,) = get(f"{found[0]}/v1/operations")["operations"]
        with urllib.request.urlopen(f"{found[0]}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        process.stdin.close()
        process.stderr.read()
    assert process.returncode == 0
    assert operation["status"] == "completed"
    assert operation["tokens"]["input"] == prompt_tokens
    assert operation["tokens"]["output"] == completion_tokens
    assert operation["tokens"]["estimated"] is False
    assert operation["stages_completed"] == [
        "connecting_to_model", "sending_request", "waiting_first_chunk", "streaming_response", "processing_response",
    ]  # fmt: skip
    assert operation["time_to_first_chunk"] > 0
    labels = 'gen_ai_token_type="output"'
    (line,) = [row for row in metrics.splitlines() if row.startswith("midspan_tokens_total") and labels in row]
    assert float(line.split()[-1]) == completion_tokens


@pytest.mark.parametrize(
    "attach",
    [
        [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--", sys.executable],
        [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable],
        [],
    ],
    ids=["midspan run", "opentelemetry-instrument", "midspan.instrument()"],
)
def test_every_way_of_attaching_sees_the_same_operations(model: Model, attach: list[str]) -> None:
    script = """
import atexit, json, sys
if sys.argv[2] == "code":
    import midspan
    midspan.instrument()
import asyncio, openai
question = dict(model=sys.argv[1], messages=[{"role": "user", "content": "Hi."}], max_tokens=8, seed=7)
client = openai.OpenAI()
client.chat.completions.create(**question)
with client.chat.completions.create(**question, stream=True) as stream:
    for chunk in stream:
        break
try:
    client.chat.completions.create(model=sys.argv[1], messages=[{"role": "user", "content": "word " * 5000}])
except openai.BadRequestError:
    pass
asyncio.run(openai.AsyncOpenAI().chat.completions.create(**question))
from midspan import get_progress_registry
rows = [(o.name, o.status, o.status_reason, o.error and o.error.type) for o in get_progress_registry().operations()]
print(json.dumps(rows[::-1]))
"""
    how = "attached" if attach else "code"
    variables = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    command = [*(attach or [sys.executable]), "-c", script, model.name, how]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, env=environ(model, **variables), check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["chat", "completed", None, None],
        ["chat", "cancelled", "closed early", None],
        ["chat", "failed", None, "openai.BadRequestError"],
        ["chat", "completed", None, None],
    ]
