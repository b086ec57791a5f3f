"""Calls and streams through the whole SDK: bare, by hand and under midspan, in turns within one process.

Processes differ by more than what is measured here: by where their memory lies, and by who else is on the machine
meanwhile. So one process does it each way, again and again, for a moment each, in changing order.
"""

from __future__ import annotations

import json
import operator
import random
import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import midspan
import midspan_instrumentation as instrumentation
from benchmarks.application import (
    QUESTION,
    STREAM_CHUNKS,
    answering,
    client,
    metered_provider,
    streaming,
    switch_on,
    traced_provider,
)

Work = Callable[[], object]
Way = Callable[[], AbstractContextManager[None]]
TURNS = 80
CALLS = 30
WARM_UP = 3
"""What a turn begins with, unmeasured: the turn before was another way's."""


def calls() -> dict[str, float]:
    """µs a call, with spans to a batch processor."""
    switch_on(traced_provider())
    return in_turns(_ask(), CALLS, 1, {"bare": nullcontext, "by_hand": ByHand().attached, "midspan": under_midspan})


def metered() -> dict[str, float]:
    """µs a call, with spans and every metric."""
    midspan.instrument(tracer_provider=traced_provider(), meter_provider=metered_provider())
    ways: dict[str, Way] = {"bare": nullcontext, "by_hand": ByHand(tokens=True).attached, "midspan": under_midspan}
    return in_turns(_ask(), CALLS, 1, ways)


def stream() -> dict[str, float]:
    """µs a chunk: decoding, validation, and what instrumentation adds."""
    switch_on(traced_provider())
    completions = client(streaming).chat.completions

    def read() -> None:
        for _ in completions.create(**QUESTION, stream=True):
            pass

    return in_turns(read, 1, STREAM_CHUNKS, {"bare": nullcontext, "midspan": under_midspan}, warm_up=0)


def _ask() -> Work:
    completions = client(answering).chat.completions
    return lambda: completions.create(**QUESTION)


def in_turns(work: Work, count: int, parts: int, ways: dict[str, Way], warm_up: int = WARM_UP) -> dict[str, float]:
    """The CPU time of one part of `work` in each way, in µs. A turn is `count` times of work.

    That of the first way is its median, and of another one, that and by how much it differs in the middle: from the
    turn just before or after. A shared machine is half as fast again in one second as in the next.
    """
    instrumentation.undo()
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name in random.sample(list(ways), len(ways)):
            with ways[name]():
                spent[name].append(_turn(work, count, warm_up) / parts)
    first = next(iter(spent.values()))
    least = statistics.median(first)
    return {name: least + statistics.median(map(operator.sub, each, first)) for name, each in spent.items()}


def _turn(work: Work, count: int, warm_up: int) -> float:
    settle = midspan.get_progress_registry().settle
    for _ in range(warm_up):
        work()
    settle()
    begun = time.process_time()
    for _ in range(count):
        work()
    # Counting and storing what has ended waits for the pulse; here it is part of what a call costs.
    settle()
    return (time.process_time() - begun) / count * 1e6


@contextmanager
def under_midspan() -> Generator[None]:
    """Calls are operations inside the `with`."""
    instrumentation.apply()
    try:
        yield
    finally:
        instrumentation.undo()


class ByHand:
    """The floor: what the conventions ask of any instrumentation, and nothing else, written for this call alone.

    `tokens`: both token counts in a histogram too, as the conventions recommend.
    """

    def __init__(self, tokens: bool = False) -> None:
        self._tracer = traced_provider().get_tracer("by_hand")
        meter = metered_provider().get_meter("by_hand")
        self._histogram = meter.create_histogram("gen_ai.client.operation.duration", "s")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}") if tokens else None

    @contextmanager
    def attached(self) -> Generator[None]:
        """Calls have a span and a duration inside the `with`."""
        from openai.resources.chat.completions import Completions

        create: Any = Completions.create
        Completions.create = self._around(create)  # type: ignore[method-assign]
        try:
            yield
        finally:
            Completions.create = create  # type: ignore[method-assign]

    def _around(self, create: Callable[..., Any]) -> Any:
        from opentelemetry import context, trace

        tracer, histogram, tokens = self._tracer, self._histogram, self._tokens

        def by_hand(completions: Any, **asked: Any) -> Any:
            url = completions._client.base_url
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": asked["model"],
                "server.address": url.host,
                "server.port": url.port or 80,
            }
            span = tracer.start_span(f"chat {asked['model']}", kind=trace.SpanKind.CLIENT, attributes=attributes)
            token = context.attach(trace.set_span_in_context(span))
            begun = time.perf_counter()
            try:
                answer = create(completions, **asked)
            finally:
                context.detach(token)
            histogram.record(time.perf_counter() - begun, attributes)
            span.set_attributes(
                {
                    "gen_ai.response.id": answer.id,
                    "gen_ai.response.model": answer.model,
                    "gen_ai.response.finish_reasons": [choice.finish_reason for choice in answer.choices],
                    "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
                    "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
                }
            )
            span.end()
            if tokens is not None:
                told = {**attributes, "gen_ai.response.model": answer.model}
                tokens.record(answer.usage.prompt_tokens, {**told, "gen_ai.token.type": "input"})
                tokens.record(answer.usage.completion_tokens, {**told, "gen_ai.token.type": "output"})
            return answer

        return by_hand


WORKLOADS = {"calls": calls, "metered": metered, "stream": stream}
"""By what their figures' names begin with."""

if __name__ == "__main__":
    print(json.dumps({f"{sys.argv[1]}.{way}": value for way, value in WORKLOADS[sys.argv[1]]().items()}))
