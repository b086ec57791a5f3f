"""An application that uses everything of midspan which may stand in its way, and says what it sees.

No network: the SDK's own transport answers, so that it can be run hundreds of times.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import openai
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, generate_latest

import midspan
from midspan.runtime.pulse import Pulse
from midspan.telemetry.prometheus import register
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry
from tests.fakes.openai_calls import ANSWERS, MESSAGES, STREAMS, http
from tests.fakes.openai_server import answer_of, events_of
from tests.fakes.serving import asked_of
from tests.faults.calls import told

_REMOTE = trace.NonRecordingSpan(trace.SpanContext(0xA, 0xB, is_remote=True))


class _Body(http.SyncByteStream, http.AsyncByteStream):
    def __init__(self, parts: list[str]) -> None:
        self._parts = [part.encode() for part in parts]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def respond(request: Any) -> Any:
    """What the fake server would answer."""
    asked = asked_of(request.content)
    if asked["model"] == "refused" or (asked["model"] == "flaky" and _is_first(request)):
        return http.Response(500, headers={"retry-after-ms": "1"}, json={"error": {"message": "no"}})
    if asked.get("stream"):
        body = _Body(list(events_of(request.url.path, asked)))
        return http.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    return http.Response(200, json=answer_of(request.url.path, asked))


def _is_first(request: Any) -> bool:
    return request.headers.get("x-stainless-retry-count", "0") == "0"


class Application:
    """`actions()` are the things that it does; doing one gives a line: what came back, or what was raised."""

    def __init__(self) -> None:
        transport = http.MockTransport(respond)
        sync, own = http.Client(transport=transport), http.AsyncClient(transport=transport)
        self._sync = openai.OpenAI(api_key="x", base_url="http://model.example/v1", http_client=sync, max_retries=1)
        self._async = openai.AsyncOpenAI(api_key="x", base_url="http://model.example/v1", http_client=own)
        self._metrics = CollectorRegistry()
        Counter("app_requests", "The application's own.", registry=self._metrics).inc()
        midspan.disable(self._metrics)

    def actions(self) -> list[Callable[[], str]]:
        """Everything that it does, in order."""
        calls = (*self._answers(), *self._streams(), *self._raw(), *self._errors())
        waiting = (*self._asynchronous(), *MANUAL_ASYNC)
        done = (*calls, *(_run(make) for make in waiting), *MANUAL, self._scrape, _pulse)
        return [told(action) for action in done]

    def close(self) -> None:
        """The end of the application."""
        self._sync.close()
        asyncio.run(self._async.close())

    def _answers(self) -> Iterator[Callable[[], object]]:
        for case in ANSWERS:
            yield lambda case=case: case.call(self._sync, "ok")
        yield self._within_a_span

    def _within_a_span(self) -> object:
        with trace.use_span(_REMOTE):
            return self._sync.chat.completions.create(model="ok", messages=MESSAGES)

    def _streams(self) -> Iterator[Callable[[], object]]:
        def read(case: Any) -> object:
            with case.call(self._sync, "ok") as stream:
                return [type(item).__name__ for item in stream]

        for case in STREAMS:
            yield lambda case=case: read(case)
        yield self._close_early
        yield self._drop

    def _close_early(self) -> object:
        stream = self._sync.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
        first = next(stream)
        stream.close()
        return first

    def _drop(self) -> object:
        stream = self._sync.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
        first = next(stream)
        del stream
        gc.collect()
        return first

    def _raw(self) -> Iterator[Callable[[], object]]:
        create = self._sync.chat.completions
        yield lambda: create.with_raw_response.create(model="ok", messages=MESSAGES).parse()
        yield lambda: [*create.with_raw_response.create(model="ok", messages=MESSAGES, stream=True).parse()]

        def lines() -> list[str]:
            with create.with_streaming_response.create(model="ok", messages=MESSAGES, stream=True) as response:
                return [*response.iter_lines()]

        yield lines
        yield lambda: [*create.create(model="ok", messages=MESSAGES, stream=True, extra_body={"return_progress": True})]

    def _errors(self) -> Iterator[Callable[[], object]]:
        create = self._sync.chat.completions.create
        yield lambda: create(model="refused", messages=MESSAGES)
        yield lambda: create(model="flaky", messages=MESSAGES)
        yield lambda: [*create(model="failing", messages=MESSAGES, stream=True)]
        yield lambda: create(model="ok")  # type: ignore[call-overload]

    def _asynchronous(self) -> Iterator[Callable[[], Any]]:
        for case in ANSWERS:
            yield lambda case=case: case.call(self._async, "ok")
        for case in STREAMS:
            yield lambda case=case: _read_async(lambda: case.call(self._async, "ok"))
        yield lambda: self._async.chat.completions.create(model="refused", messages=MESSAGES)

    def _scrape(self) -> object:
        _operations()
        register(get_progress_registry(), self._metrics)
        return next(line for line in generate_latest(self._metrics).decode().splitlines() if line.startswith("app_"))


async def _read_async(call: Callable[[], Any]) -> list[str]:
    result = call()
    async with await result if hasattr(result, "__await__") else result as stream:
        return [type(item).__name__ async for item in stream]


def _run(make: Callable[[], Any]) -> Callable[[], object]:
    async def wait() -> object:
        return await make()

    return lambda: asyncio.run(wait())


def _operations() -> None:
    """Something to be seen: one that has ended, and one that runs."""
    midspan.ProgressTracker(name="ended").complete()
    running = midspan.ProgressTracker(name="running", total_steps=2)
    running.update(1)
    running.update(2)


def _pulse() -> None:
    _operations()
    Pulse(get_progress_registry()).beat()


# --- the manual API -----------------------------------------------------------------------------------


def _tracker() -> object:
    tracker = midspan.ProgressTracker(None, "general", 3, metadata={"a": 1}, deadline=60.0)
    tracker.start()
    tracker.update(1, "one", progress=0.25, extra="x")
    tracker.update(total_steps=4)
    tracker.update(9, "out of range")
    tracker.set_total(10, "rows")
    tracker.advance(2, outcome="succeeded")
    tracker.enter_stage("reading")
    tracker.request_cancel()
    tracker.complete("done", {"rows": 2})
    tracker.update(2, "late")
    return tracker.complete()


def _due() -> object:
    midspan.ProgressTracker(name="due", deadline=datetime.now(UTC)).complete()
    return "done"


def _nested() -> object:
    with midspan.ProgressTracker(name="outer", expect_children=2) as outer:
        assert outer is not None
        with midspan.ProgressTracker(name="inner"):
            midspan.get_progress_tracker().update(message="inside")
        midspan.ProgressTracker(name="failed").fail(ValueError("told"))
        midspan.ProgressTracker(name="cancelled").cancel("told")
    return trace.get_current_span().get_span_context().is_valid


def _raises() -> object:
    with midspan.ProgressTracker(name="raises"):
        raise KeyError("the application's own")


def _wrong() -> object:
    return midspan.ProgressTracker(name="wrong").update("two")  # type: ignore[arg-type]


@midspan.track_progress
def _function(x: int) -> int:
    midspan.get_progress_tracker().update(message="half")
    return x + 1


@midspan.track_progress(name="a generator", total_steps=2)
def _generator() -> Iterator[int]:
    yield 1
    yield 2


@midspan.track_llm_progress
def _llm(prompt: str, model: str = "m", temperature: float = 0.5) -> str:
    return prompt.upper()


@midspan.progress
def _tool() -> Any:
    yield {"progress": 0.5, "status": "half", "rows": 1}
    yield "a status"
    return "result"


@midspan.progress
def _failing_tool() -> Any:
    yield {"progress": 0.5}
    raise KeyError("the tool's own")


def _left_early() -> object:
    generator = _generator()
    first = next(generator)
    generator.close()
    return first


def _loop() -> object:
    for item in midspan.track([1, 2, 3], name="a loop"):
        if item == 2:
            break
    return [*midspan.track((item for item in (1, 2)), total=2)]


@midspan.track_progress
async def _coroutine(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@midspan.track_progress
async def _async_generator() -> AsyncIterator[int]:
    yield 1
    yield 2


@midspan.progress
async def _async_tool() -> Any:
    yield {"progress": 0.5, "status": "half"}
    yield {"result": "result"}


async def _async_tracker() -> object:
    async with midspan.ProgressTracker(name="async") as tracker:
        tracker.advance()
    return "left"


async def _consume() -> list[int]:
    return [item async for item in _async_generator()]


async def _async_loop() -> list[int]:
    async def items() -> AsyncIterator[int]:
        yield 1

    return [item async for item in midspan.track(items())]


def _disabled() -> object:
    with midspan.disabled():
        return _function(1)


def _own_registry() -> object:
    registry = ProgressRegistry()
    registry.create_tracker("own").complete()
    return "made"


MANUAL: tuple[Callable[[], object], ...] = (
    _tracker,
    _due,
    _nested,
    _raises,
    _wrong,
    lambda: _function(1),
    lambda: [*_generator()],
    lambda: _llm("x"),
    _tool,
    _failing_tool,
    _left_early,
    _loop,
    _disabled,
    _own_registry,
)
MANUAL_ASYNC: tuple[Callable[[], Any], ...] = (
    lambda: _coroutine(1),
    _consume,
    _async_tool,
    _async_tracker,
    _async_loop,
)
