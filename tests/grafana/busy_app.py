"""An application of which every metric has something to show: calls that end in every way, and long jobs.

Arguments: the port of its `/metrics`. It does nothing until a line comes on stdin, then works until stdin ends.
"""

import itertools
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import time
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import start_http_server

import midspan
from midspan.core import failures

MESSAGES = [{"role": "user", "content": "Hi."}]
CALLS = (("ok", True), ("ok", False), ("limited", True), ("flaky", False), ("ok", True), ("refused", False))
STAGES = ("validating_input", "sending_request", "streaming_response", "processing_response")

over = threading.Event()


def call(client: Any, model: str, stream: bool) -> None:
    with suppress(openai.OpenAIError):
        answer = client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
        if stream:
            list(answer)


def calls() -> None:
    client, turn = openai.OpenAI(max_retries=1), 0
    while not over.wait(random.uniform(0.02, 0.2)):
        turn += 1
        # Few of them, so that most calls succeed.
        model, stream = CALLS[turn % len(CALLS)]
        if model != "refused" or turn % 60 < len(CALLS):
            call(client, model, stream)
        if turn % 7 == 0:
            client.embeddings.create(model="ok", input="Hi.", encoding_format="float")


def job(name: str, kind: str, steps: int, pause: float, age: float, **more: Any) -> None:
    """A job that has series of its own from its first scrape on: as if it had begun `age` seconds ago."""
    for turn in itertools.count(1):
        with midspan.ProgressTracker(f"{name}-{turn}", kind, steps, name=name, **more) as tracker:
            tracker.state.started_at = time() - age
            for step in range(steps):
                tracker.update(step=step, stage=STAGES[step * len(STAGES) // steps])
                if over.wait(pause):
                    return


def silent() -> None:
    """Stalls at once, and is past its deadline."""
    with midspan.ProgressTracker("crawl-7", "agent", name="crawl", deadline=0.5) as tracker:
        tracker.state.started_at = time() - 90
        tracker.update(stage="waiting_first_chunk")
        over.wait()


def short() -> None:
    """Work of a second and more, which has stages and an estimate to judge."""
    while not over.is_set():
        with suppress(ValueError), midspan.ProgressTracker(None, "tool", 12, name="search") as tracker:
            for step in range(12):
                tracker.update(step=step, stage=STAGES[step // 3])
                if over.wait(0.15):
                    return
            if random.random() < 0.2:
                raise ValueError


def troubles() -> None:
    """What midspan says of itself."""
    statistics = midspan.get_progress_registry().statistics
    while not over.wait(1.0):
        statistics.suppressed["label_sets"] += 1
        failures.report("exporter")


WORK: tuple[Callable[[], None], ...] = (
    calls,
    calls,
    short,
    silent,
    troubles,
    partial(job, "import", "batch", 160, 0.5, 60, deadline=600.0),
    partial(job, "train", "fine_tuning", 400, 0.5, 600, deadline=150.0),
    partial(job, "index", "retrieval", 100, 0.5, 45),
)


def main() -> None:
    trace.set_tracer_provider(TracerProvider())
    midspan.instrument(server="off", stall_after="3")
    midspan.register_prometheus()
    start_http_server(int(sys.argv[1]), "127.0.0.1")
    print("cold", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=work) for work in WORK]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()


main()
