"""An application with a `/metrics` of its own: calls of every ending, and a job that runs until it is told to end.

Arguments: the port of its own `/metrics`. Lines on stdin: `load` makes calls in threads, `end` completes the job.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import time
from typing import Any

import openai
from prometheus_client import Counter, start_http_server

import midspan

MESSAGES = [{"role": "user", "content": "Hi."}]

client: Any = openai.OpenAI(max_retries=1)
served = Counter("app_requests", "Requests that this application has served.", ["path"])


def ask(model: str, stream: bool = False) -> None:
    served.labels("/ask").inc()
    with suppress(openai.OpenAIError):
        answer = client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
        if stream:
            list(answer)


midspan.register_prometheus()
start_http_server(int(sys.argv[1]), "127.0.0.1")
print("cold", flush=True)
sys.stdin.readline()
for model in ("ok", "ok", "flaky", "refused", "cut", "limited"):
    ask(model)
    ask(model, stream=True)
client.embeddings.create(model="ok", input="Hi.", encoding_format="float")
with suppress(ValueError), midspan.ProgressTracker(name="report", operation_type="general") as report:
    report.update(progress=0.5, stage="sorting")
    raise ValueError
job = midspan.ProgressTracker("job-1", "batch", 10, name="import", deadline=3600.0)
job.start()
# As if it had begun a minute ago: by then it has series of its own.
job.state.started_at = time() - 60
job.update(step=4, message="importing")
print("settled", flush=True)
for line in sys.stdin:
    if line == "end\n":
        job.complete()
    else:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, ["ok", "refused", "ok"] * 40, [False, False, True] * 40))
    print("done", flush=True)
