"""What an application may ask and a server answer: megabytes, forged lines and large numbers, bounded and cleaned."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from midspan.core.operation import Operation, Status
from midspan.telemetry.metering import Metering
from midspan.tracking.tracker import get_progress_registry
from tests.endings.seen import instrumented
from tests.fakes.openai_calls import ANSWERS, MESSAGES, http
from tests.showable import UNSAFE, check, page_names

MEGABYTE = "m" * 1_000_000
FORGED = 'a\nmidspan_forged_total 1\r\n\x00\x1b[31m\u202eevil\u2066"}\\' + "x" * 1_000
TEXTS = pytest.mark.parametrize("text", [MEGABYTE, FORGED], ids=["a megabyte", "forged"])
RESPONSES = any(case.name == "responses.create" for case in ANSWERS)
LONGEST = 4_096
"""Characters of the longest attribute that a span of ours may have."""


def chat(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": text}
    return {"id": text, "object": "chat.completion", "created": 1, "model": text, "choices": [choice], **more}


def chunks(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": text, "object": "chat.completion.chunk", "created": 1, "model": text, "choices": [choice]}
    last = {**chunk, "choices": [{**choice, "finish_reason": text}]}
    return b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in (chunk, last)) + b"data: [DONE]\n\n"


def response(text: str) -> dict[str, Any]:
    error = {"code": text, "message": text}
    return {"id": text, "object": "response", "model": text, "status": text, "error": error, "output": []}


def answering(body: Any, status: int = 200) -> Callable[[Any], Any]:
    def answer(_: Any) -> Any:
        if isinstance(body, bytes):
            return http.Response(status, headers={"content-type": "text/event-stream"}, content=body)
        return http.Response(status, json=body)

    return answer


def ask(client: openai.OpenAI, path: str, **more: Any) -> None:
    if path == "responses":
        client.responses.create(model="m", input="Hi.")
    else:
        asked: dict[str, Any] = {"model": "m", "messages": MESSAGES, "stream": path == "stream", **more}
        result = client.chat.completions.create(**asked)
        if path == "stream":
            list(result)


def seen_of(answer: Callable[[Any], Any], path: str = "chat", **more: Any) -> Operation:
    """The operation of a call that is answered like that; whoever looks at it sees nothing long or forged."""
    reader = InMemoryMetricReader()
    metering = Metering(get_progress_registry())
    own = http.Client(transport=http.MockTransport(answer))
    with instrumented() as seen, openai.OpenAI(api_key="x", max_retries=0, http_client=own) as client:
        metering.attach(MeterProvider([reader], shutdown_on_exit=False))
        with suppress(openai.APIError):
            ask(client, path, **more)
        operation = seen.the_only_operation()
        metering.detach()
        (span,) = seen.exporter.get_finished_spans()
    check(operation)
    assert encode_spans([span]).SerializeToString()
    written = [*(span.attributes or {}).values(), span.name, span.status.description or ""]
    for value in (text for each in written for text in (each if isinstance(each, tuple) else (each,))):
        assert not isinstance(value, str) or (len(value) <= LONGEST and not set(value) & UNSAFE)
    assert not [name for name in page_names(get_progress_registry()) if "forged" in name]
    assert_labels_are_clean(reader)
    return operation


def assert_labels_are_clean(reader: InMemoryMetricReader) -> None:
    data: Any = reader.get_metrics_data()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    points = [point for scope in scopes for metric in scope.metrics for point in metric.data.data_points]
    labels = [str(value) for point in points for value in (point.attributes or {}).values()]
    assert labels
    assert not [label for label in labels if len(label) > 128 or set(label) & UNSAFE]


@TEXTS
@pytest.mark.parametrize("path", ["chat", "stream"])
def test_an_answer_of_hostile_texts_is_completed(path: str, text: str) -> None:
    operation = seen_of(answering(chunks(text) if path == "stream" else chat(text)), path)
    assert operation.status is Status.COMPLETED


@pytest.mark.skipif(not RESPONSES, reason="this openai has no responses")
@TEXTS
def test_a_response_that_failed_with_hostile_texts_has_failed(text: str) -> None:
    operation = seen_of(answering(response(text)), "responses")
    assert operation.status is Status.FAILED
    assert operation.error is not None
    assert len(operation.error.type) <= 128


@TEXTS
@pytest.mark.parametrize("path", ["chat", "stream"])
def test_a_refusal_of_hostile_texts_has_failed(path: str, text: str) -> None:
    error = {"error": {"message": text, "type": text, "code": text, "param": text}}
    assert seen_of(answering(error, 400), path).status is Status.FAILED


@pytest.mark.parametrize("number", [-1, 2**63, 1e308, 3.5, None], ids=repr)
def test_numbers_that_are_no_counts_are_unknown(number: Any) -> None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    operation = seen_of(answering(chat("ok", usage=dict.fromkeys(names, number))))
    assert operation.status is Status.COMPLETED
    assert operation.tokens is None


def test_ten_thousand_unknown_fields_are_not_kept() -> None:
    more = {f"field{number}": MEGABYTE[:100] for number in range(10_000)}
    operation = seen_of(answering(chat("ok", **more)))
    assert operation.metadata is None
    assert len(get_progress_registry().retention) == 1


@TEXTS
def test_a_request_of_hostile_values_is_sent_as_it_is_and_seen_cleaned(text: str) -> None:
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(json.loads(request.content))
        return http.Response(200, json=chat("ok"))

    asked: dict[str, Any] = {"model": text, "stop": [text] * 100, "seed": 2**70, "max_tokens": -(2**70), "n": 2**70}
    operation = seen_of(answer, **asked, temperature=10**30, top_p=1e308)
    assert operation.status is Status.COMPLETED
    assert asked.items() <= sent[0].items()
