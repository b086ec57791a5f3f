"""One measurement in a process of its own: `python -m benchmarks.peers.work TOOL WORKLOAD` prints one JSON object.

The SDK's own mock transport answers in memory, so that nothing but the SDK and the tool works.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.application import QUESTION, cpu, event_stream
from benchmarks.peers.attach import PEERS, Telemetry
from benchmarks.workloads import import_openai, replay

WARM_UP = 500
MODEL = "m"
Result = dict[str, float]


def client(handler: Callable[[Any], Any]) -> Any:
    """The SDK over the HTTP client that its version uses."""
    import openai

    http = http_library()
    http_client = http.Client(transport=http.MockTransport(handler))
    return openai.OpenAI(api_key="k", base_url="http://model.test/v1", http_client=http_client, max_retries=0)


def http_library() -> Any:
    """httpx2 from openai 3 on, httpx before."""
    import openai

    if int(openai.__version__.partition(".")[0]) >= 3:
        import httpx2

        return httpx2
    import httpx

    return httpx


class Server:
    """Answers chat completions and responses, each with an id of its own; streams have `chunks` chunks."""

    def __init__(self, chunks: int = 0) -> None:
        self.http = http_library()
        self.stream = event_stream(chunks - 1) if chunks else b""
        self.served = 0

    def __call__(self, request: Any) -> Any:
        """The mock transport's handler."""
        self.served += 1
        if self.stream:
            return self.http.Response(200, headers={"content-type": "text/event-stream"}, content=self.stream)
        is_response = request.url.path.endswith("/responses")
        return self.http.Response(200, json=(response if is_response else completion)(self.served))


def completion(number: int) -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    fields = {"id": f"c-{number}", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**fields, "choices": [choice], "usage": usage}


def response(number: int) -> dict[str, Any]:
    """An answer of the Responses API."""
    part = {"type": "output_text", "text": "hi", "annotations": []}
    item = {"type": "message", "id": f"m-{number}", "status": "completed", "role": "assistant", "content": [part]}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    fields = {"id": f"r-{number}", "object": "response", "created_at": 1, "status": "completed", "model": MODEL}
    usage = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4, **details}
    rules = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
    return {**fields, **rules, "output": [item], "usage": usage}


def ask(openai_client: Any) -> None:
    """One call."""
    openai_client.chat.completions.create(**QUESTION)


def respond(openai_client: Any) -> None:
    """One call of the Responses API."""
    openai_client.responses.create(model=MODEL, input="hello")


def read(openai_client: Any) -> None:
    """One stream, to its end."""
    for _ in openai_client.chat.completions.create(**QUESTION, stream=True):
        pass


def leave(openai_client: Any) -> None:
    """One stream, dropped after four chunks."""
    stream = openai_client.chat.completions.create(**QUESTION, stream=True)
    for _ in range(4):
        next(stream)


def repeated(work: Callable[[Any], None], count: int, chunks: int = 0, per: int = 1) -> Callable[[Telemetry], Result]:
    """CPU µs of `count` repetitions, each divided by `per`."""

    def run(_: Telemetry) -> Result:
        openai_client = client(Server(chunks))
        for _ in range(max(2, 50 // per)):
            work(openai_client)
        return {"value": cpu(lambda: [work(openai_client) for _ in range(count)], count * per, 1e6)}

    return run


def ready_made(_: Telemetry) -> Result:
    """µs a chunk, for chunk objects made beforehand: what is left is the tool's own work."""
    replay(asynchronous=False, count=REPLAYED)
    openai_client = client(Server(1))
    streams = [openai_client.chat.completions.create(**QUESTION, stream=True) for _ in range(REPLAYS)]
    return {"value": cpu(lambda: [[None for _ in stream] for stream in streams], REPLAYS * REPLAYED, 1e6)}


def memory(work: Callable[[Any], None], count: int, chunks: int = 0) -> Callable[[Telemetry], Result]:
    """KiB that the process grows by over `count` repetitions after a warm-up, and the spans that it sent."""

    def run(telemetry: Telemetry) -> Result:
        openai_client = client(Server(chunks))
        grow(telemetry, work, openai_client, WARM_UP)
        before = telemetry.spans.exported
        grown = grow(telemetry, work, openai_client, count)
        return {"value": grown, "spans": telemetry.spans.exported - before}

    return run


def grow(telemetry: Telemetry, work: Callable[[Any], None], openai_client: Any, count: int) -> float:
    """Do it, and let everything settle: KiB of resident memory more than before."""
    before = resident()
    for _ in range(count):
        work(openai_client)
    settle(telemetry)
    return (resident() - before) / 1024


def settle(telemetry: Telemetry) -> None:
    """What was dropped is collected, what was ended is sent."""
    gc.collect()
    if "midspan" in sys.modules:
        from midspan.runtime.wiring import runtime

        runtime().pulse.beat()
    telemetry.flush()
    gc.collect()


def resident() -> int:
    """Bytes of resident memory."""
    import psutil

    return psutil.Process().memory_info().rss


REPLAYED = 2_000
REPLAYS = 15


@dataclass(frozen=True)
class Work:
    """One column of the comparison."""

    title: str
    unit: str
    run: Callable[[Telemetry], Result]
    sampled: bool = True
    once: bool = False
    """Repeats closely by itself: measured in one round only."""


WORK = {
    "call": Work("call", "µs", repeated(ask, 1_500)),
    "short": Work("stream of 3 chunks", "µs", repeated(read, 1_000, chunks=3)),
    "stream": Work("2,000-chunk stream, a chunk", "µs", repeated(read, 7, chunks=2_000, per=2_000)),
    "own": Work("own work a chunk", "µs", ready_made),
    "call-unsampled": Work("call, sampled out", "µs", repeated(ask, 1_500), sampled=False),
    "own-unsampled": Work("own work a chunk, sampled out", "µs", ready_made, sampled=False),
    "switch-on": Work("switching on", "ms", lambda _: {}),
    "memory-calls": Work("10,000 calls", "KiB", memory(ask, 10_000), once=True),
    "memory-streams": Work("2,000 streams of 50", "KiB", memory(read, 2_000, chunks=50), once=True),
    "memory-left": Work("2,000 streams left after 4 chunks", "KiB", memory(leave, 2_000, chunks=50), once=True),
    "memory-responses": Work("5,000 Responses calls", "KiB", memory(respond, 5_000), once=True),
}


def main(peer: str, name: str) -> Result:
    """Switch the tool on, and do the work."""
    work = WORK[name]
    telemetry = Telemetry(sampled=work.sampled)
    if not PEERS[peer].brings_providers:
        telemetry.set_up()
    begun = time.process_time()
    PEERS[peer].attach(telemetry)
    import_openai()
    if name == "switch-on":
        return {"value": (time.process_time() - begun) * 1e3}
    return work.run(telemetry)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])), flush=True)
