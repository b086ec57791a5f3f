"""The conventions' own metrics: for calls whose span is our own, with the conventions' attributes, and bounded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from midspan.telemetry.metering import Metering
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import attached
from midspan.tracking.tracker import ProgressRegistry
from tests.runtime.test_wiring import run
from tests.telemetry.collected import metrics, points
from tests.telemetry.conftest import MakeCall

DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
COUNTS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-x"}


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def metering(
    registry: ProgressRegistry, recorder: SpanRecorder, reader: InMemoryMetricReader
) -> Iterator[tuple[Metering, MeterProvider]]:
    provider = MeterProvider([reader], shutdown_on_exit=False)
    made = Metering(registry)
    made.attach(provider)
    yield made, provider
    provider.shutdown()


def genai(reader: InMemoryMetricReader) -> set[str]:
    return {name for name in metrics(reader) if name.startswith("gen_ai.")}


@pytest.mark.usefixtures("metering")
def test_a_streamed_call_has_all_three_with_the_conventions_units_buckets_and_attributes(
    reader: InMemoryMetricReader, make_call: MakeCall, clock: FakeClock
) -> None:
    call = make_call(**{"server.address": "api.example.com", "server.port": 443})
    call.enter_stage("sending_request")
    with attached(call):
        clock.advance(1.5)
        call.first_chunk()
    call.set_attributes({"gen_ai.response.model": "gpt-x-2026"})
    clock.advance(1.0)
    call.record_usage(input=10, output=20, reasoning=5, cached=3)
    call.complete()
    told = {**CALL, "server.address": "api.example.com", "server.port": 443, "gen_ai.response.model": "gpt-x-2026"}
    found = metrics(reader)
    assert {name: found[name].unit for name in genai(reader)} == {DURATION: "s", TOKENS: "{token}", FIRST_CHUNK: "s"}
    (duration,), (first,) = points(reader, DURATION), points(reader, FIRST_CHUNK)
    assert (duration.sum, duration.explicit_bounds, duration.attributes) == (2.5, SECONDS, told)
    assert (first.sum, first.explicit_bounds, first.attributes) == (1.5, SECONDS, told)
    usage = {point.attributes["gen_ai.token.type"]: point for point in points(reader, TOKENS)}
    assert {kind: point.sum for kind, point in usage.items()} == {"input": 10, "output": 20}
    assert usage["input"].explicit_bounds == COUNTS
    assert usage["input"].attributes == {**told, "gen_ai.token.type": "input"}


@pytest.mark.usefixtures("metering")
def test_the_exemplar_is_the_call_s_span(reader: InMemoryMetricReader, make_call: MakeCall) -> None:
    call = make_call()
    call.complete()
    (point,) = points(reader, DURATION)
    assert [f"{exemplar.span_id:016x}" for exemplar in point.exemplars] == [call.get_progress_details().span_id]


@pytest.mark.usefixtures("metering")
def test_a_failed_call_has_the_error_type_of_its_span_and_no_usage(
    reader: InMemoryMetricReader, make_call: MakeCall
) -> None:
    make_call().fail_as("rate_limit_exceeded", "slow down")
    (point,) = points(reader, DURATION)
    assert point.attributes == {**CALL, "error.type": "rate_limit_exceeded"}
    assert genai(reader) == {DURATION}


@pytest.mark.usefixtures("metering")
def test_a_cancelled_call_is_no_error(reader: InMemoryMetricReader, make_call: MakeCall) -> None:
    make_call().cancel("closed early")
    (point,) = points(reader, DURATION)
    assert point.attributes == CALL


@pytest.mark.usefixtures("metering")
def test_tokens_that_we_estimate_are_not_reported(reader: InMemoryMetricReader, make_call: MakeCall) -> None:
    call = make_call()
    call.counts.singles = 7
    call.complete()
    assert genai(reader) == {DURATION}


@pytest.mark.usefixtures("metering")
def test_another_tool_s_span_comes_with_its_own_metrics(
    reader: InMemoryMetricReader, make_call: MakeCall, provider: TracerProvider
) -> None:
    with provider.get_tracer("other").start_as_current_span("chat gpt-x", attributes=CALL):
        call = make_call()
        with attached(call):
            pass
        call.complete()
    assert genai(reader) == set()
    assert len(points(reader, "midspan.operation.duration")) == 1


@pytest.mark.usefixtures("metering")
def test_what_is_no_instrumented_call_has_none(reader: InMemoryMetricReader, registry: ProgressRegistry) -> None:
    registry.create_tracker(None, "llm_request", name="mine", provider="openai", model="gpt-x").complete()
    assert genai(reader) == set()


def test_without_a_tracer_provider_the_call_is_still_ours(
    reader: InMemoryMetricReader, registry: ProgressRegistry, make_call: MakeCall
) -> None:
    registry.add_processor(SpanRecorder(registry))
    Metering(registry).attach(MeterProvider([reader], shutdown_on_exit=False))
    make_call().complete()
    (point,) = points(reader, DURATION)
    assert (point.attributes, list(point.exemplars)) == (CALL, [])


def test_they_can_be_switched_off_and_on(
    metering: tuple[Metering, MeterProvider], reader: InMemoryMetricReader, make_call: MakeCall
) -> None:
    made, provider = metering
    made.attach(provider, genai=False)
    make_call().complete()
    assert genai(reader) == set()
    made.attach(provider, genai=True)
    make_call().complete()
    assert [point.count for point in points(reader, DURATION)] == [1]
    assert [point.count for point in points(reader, "midspan.operation.duration")] == [2]


@pytest.mark.parametrize(("setting", "wanted"), [("on", True), ("off", False)])
def test_the_setting_decides_in_a_real_call(setting: str, wanted: bool) -> None:
    found = run(
        """
        import json, httpx2, openai, midspan
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        midspan.instrument(meter_provider=MeterProvider([reader]))
        answer = {
            "id": "c", "object": "chat.completion", "created": 1, "model": "m-1",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }
        http = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer)))
        client = openai.OpenAI(api_key="k", base_url="http://model.test:8080/v1", http_client=http)
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
        scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
        found = {
            metric.name: [[dict(point.attributes), point.sum] for point in metric.data.data_points]
            for scope in scopes for metric in scope.metrics if metric.name.startswith("gen_ai.")
        }
        print(json.dumps(found))
        """,
        MIDSPAN_GENAI_METRICS=setting,
    )
    assert set(found) == ({DURATION, TOKENS} if wanted else set())
    if wanted:
        told = {**CALL, "gen_ai.request.model": "m", "gen_ai.response.model": "m-1", "server.address": "model.test"}
        tokens = {attributes.pop("gen_ai.token.type"): (attributes, sum_) for attributes, sum_ in found[TOKENS]}
        assert tokens == {"input": ({**told, "server.port": 8080}, 3), "output": ({**told, "server.port": 8080}, 4)}
