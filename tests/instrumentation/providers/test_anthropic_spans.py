"""Anthropic's SDK makes a GenAI span for each call by itself: midspan's progress goes onto that one, the only one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midspan.core import names
from midspan.core.operation import Status
from midspan.sources.otel_spans import SpanMirror
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry, no_span

anthropic = pytest.importorskip("anthropic")

from tests.fakes.anthropic_calls import open_async_client, sync_client  # noqa: E402
from tests.fakes.anthropic_server import FakeAnthropic  # noqa: E402

pytestmark = pytest.mark.skipif(
    "open_telemetry" not in inspect.signature(anthropic.Anthropic).parameters,
    reason="this version of the SDK makes no spans",
)
ASKED: Any = {"model": "ok", "messages": [{"role": "user", "content": "Does it work?"}], "max_tokens": 64}
SCOPE = "com.anthropic.sdk.python"


class Native:
    """A client whose SDK makes spans, and those that have ended."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter, url: str) -> None:
        self.options: Any = {"open_telemetry": {"tracer_provider": provider}}
        self.url = url
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def native(seen: Captured) -> Iterator[Native]:
    """Their spans and ours go to the same exporter, and the mirror sees both."""
    registry, exporter = get_progress_registry(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    mirror = registry.foreign = SpanMirror(registry)
    provider.add_span_processor(mirror)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = SpanRecorder(registry, tracer_provider=provider)
    registry.add_processor(recorder)
    registry.attach = recorder.attach
    try:
        with FakeAnthropic() as server:
            yield Native(provider, exporter, server.base_url)
    finally:
        registry.attach, registry.foreign = no_span, None
        registry.remove_processor(recorder)
        provider.shutdown()


def check(native: Native, seen: Captured, status: Status) -> ReadableSpan:
    """One operation, and one span: theirs, which says which operation it is."""
    (operation,), (span,) = seen.operations, native.spans
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, operation.status) == (SCOPE, status)
    assert operation.span_id == f"{span.context.span_id:016x}"
    assert (span.attributes or {})[names.OPERATION_ID] == operation.operation_id
    return span


def test_a_call_has_their_span_alone(native: Native, seen: Captured) -> None:
    with sync_client(native.url, **native.options) as client:
        client.messages.create(**ASKED)
    check(native, seen, Status.COMPLETED)


@pytest.mark.parametrize("method", ["create", "stream"])
def test_a_stream_has_their_span_alone_with_our_progress_on_it(method: str, native: Native, seen: Captured) -> None:
    streamed: Any = {"stream": True} if method == "create" else {}
    with sync_client(native.url, **native.options) as client:
        stream = getattr(client.messages, method)(**ASKED, **streamed)
        with stream as events:
            chunks = list(getattr(events, "_raw_stream", events))
    attributes = check(native, seen, Status.COMPLETED).attributes or {}
    assert (attributes[names.OPERATION_STATUS], attributes[names.CHUNK_COUNT]) == ("completed", len(chunks))


def test_an_async_stream_has_their_span_alone_with_our_progress_on_it(native: Native, seen: Captured) -> None:
    async def run() -> int:
        async with open_async_client(native.url, **native.options) as client:
            stream = await client.messages.create(**ASKED, stream=True)
            return len([event async for event in stream])

    count = asyncio.run(run())
    attributes = check(native, seen, Status.COMPLETED).attributes or {}
    assert (attributes[names.OPERATION_STATUS], attributes[names.CHUNK_COUNT]) == ("completed", count)


@pytest.mark.parametrize(("model", "status"), [("failing", Status.FAILED), ("ok", Status.CANCELLED)])
def test_a_stream_that_fails_or_is_left_has_their_span_alone(
    model: str, status: Status, native: Native, seen: Captured
) -> None:
    with sync_client(native.url, **native.options) as client:
        stream = client.messages.create(**{**ASKED, "model": model}, stream=True)
        with suppress(anthropic.APIError):
            next(stream)
            next(stream)
        stream.close()
    check(native, seen, status)


def test_a_raw_stream_is_watched_when_it_is_parsed(native: Native, seen: Captured) -> None:
    with sync_client(native.url, **native.options) as client:
        chunks = list(client.messages.with_raw_response.create(**ASKED, stream=True).parse())
    assert seen.operations[0].chunks == len(chunks)
    check(native, seen, Status.COMPLETED)


def test_a_dropped_stream_ends_with_their_span(native: Native, seen: Captured) -> None:
    with sync_client(native.url, **native.options) as client:
        next(client.messages.create(**ASKED, stream=True))
        check(native, seen, Status.CANCELLED)


def test_a_call_whose_spans_are_switched_off_has_ours(native: Native, seen: Captured) -> None:
    with sync_client(native.url, open_telemetry=False) as client:
        client.messages.create(**ASKED)
    (operation,), (span,) = seen.operations, native.spans
    assert span.name == "chat ok"
    assert operation.span_id == f"{span.context.span_id:016x}"


def test_counting_tokens_is_no_operation_though_it_has_a_span(native: Native, seen: Captured) -> None:
    with sync_client(native.url, **native.options) as client:
        client.messages.count_tokens(model="ok", messages=ASKED["messages"])
    assert (seen.operations, len(native.spans)) == ([], 1)
