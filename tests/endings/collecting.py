"""Run by `test_collector.py`, in a process of its own: streams are dropped while the collector runs at every
allocation, the pulse beats, and another thread scrapes. Prints how the operations ended; hangs in a dead-lock."""

from __future__ import annotations

import faulthandler
import gc
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import openai
from opentelemetry.sdk.trace import TracerProvider

import midspan
from midspan.core import failures
from midspan.runtime.pulse import Pulse
from midspan.telemetry.prometheus import MetricsPage
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.openai_calls import MESSAGES, http

STREAMS = 40
CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{}}]}\n\n'
)


class Body(http.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield CHUNK
        yield CHUNK


def answer(request: Any) -> Any:
    return http.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


def drop_streams(client: openai.OpenAI) -> None:
    """Each is part of a cycle: the collector finds it, wherever it happens to run."""
    for _ in range(STREAMS):
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        next(iter(stream))
        del stream


def main() -> None:
    faulthandler.dump_traceback_later(30, exit=True)
    failures.raising = True
    midspan.instrument(tracer_provider=TracerProvider(shutdown_on_exit=False))
    registry = get_progress_registry()
    page, pulse, over = MetricsPage(registry), Pulse(registry), threading.Event()

    def scrape() -> None:
        while not over.is_set():
            page()
            pulse.beat()

    client = openai.OpenAI(api_key="x", http_client=http.Client(transport=http.MockTransport(answer)))
    drop_streams(client)
    gc.collect()
    gc.freeze()
    scraper = threading.Thread(target=scrape)
    scraper.start()
    gc.set_threshold(1)
    drop_streams(client)
    gc.set_threshold(700)
    gc.collect()
    over.set()
    scraper.join()
    ended = registry.operations()
    print(sorted(Counter(str(operation.status) for operation in ended).items()), len(registry.running()))


if __name__ == "__main__":
    main()
