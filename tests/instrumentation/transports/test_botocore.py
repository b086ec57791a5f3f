"""botocore: over urllib3, with attempts of its own; the endings of its streams are in the matrix of the providers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from tests.instrumentation.seen import Told

MODEL = "amazon.titan-text-express-v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refusals = 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read no access log."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        refused = _Handler.refusals > 0
        _Handler.refusals -= refused
        content = b"{}" if refused else b'{"results": []}'
        self.send_response(429 if refused else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def bedrock(refusals: int = 0, **config: Any) -> Iterator[Any]:
    """A client of a server that refuses the first so many requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, _Handler.refusals = True, refusals
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with client_of(f"http://127.0.0.1:{server.server_port}", **config) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def client_of(url: str, **config: Any) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        endpoint_url=url,
        config=botocore.config.Config(**config),
    )
    try:
        yield client
    finally:
        client.close()


def invoke(client: Any) -> bytes:
    return client.invoke_model(modelId=MODEL, body=b"{}")["body"].read()


def test_the_first_call_connects_and_the_next_does_not(seen: Captured) -> None:
    with bedrock() as client:
        invoke(client)
        invoke(client)
    first, second = seen.operations
    assert first.stages_completed[:3] == ("connecting_to_model", "sending_request", "waiting_first_chunk")
    assert second.stages_completed[:2] == ("sending_request", "waiting_first_chunk")


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_while_botocore_sleeps_the_operation_waits_for_its_next_attempt(
    mode: str, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    told = Told()
    registry = get_progress_registry()
    registry.add_processor(told)
    try:
        with bedrock(1, retries={"mode": mode, "max_attempts": 3}) as client:
            invoke(client)
    finally:
        registry.remove_processor(told)
    (waiting,) = [each for each in told.seen if each.stage == "retrying"]
    assert (waiting.waiting_for, waiting.status_reason, waiting.attempt) == ("rate_limit", "429", 1)
    assert waiting.next_retry_at is not None
    (operation,) = seen.operations
    assert (operation.status, operation.attempt) == ("completed", 2)


def test_a_server_that_is_not_there_fails_each_attempt_while_it_connects(
    seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        client_of("http://127.0.0.1:1", retries={"mode": "standard", "total_max_attempts": 2}) as client,
        pytest.raises(botocore.exceptions.EndpointConnectionError),
    ):
        invoke(client)
    (operation,) = seen.operations
    assert (operation.status, operation.stage, operation.attempt) == ("failed", "connecting_to_model", 2)
    assert operation.stages_completed == ("connecting_to_model", "retrying")
