"""Jobs of other providers than OpenAI, as their services tell of them, and clients that are told so in the process."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.sdk import Reply, transport

Json = dict[str, Any]
NOW = datetime.now(UTC)
BEGUN, ENDED = (NOW - timedelta(seconds=90)).isoformat(), (NOW - timedelta(seconds=30)).isoformat()
ARN = "arn:aws:bedrock:eu-west-1:123456789012:model-invocation-job/abcdefghijkl"


class Answers:
    """Each request gets the next answer: a JSON object, or a status; `paths` are those that were asked for."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []

    def __call__(self, url: str, _headers: Any, _content: bytes) -> Reply:
        self.urls.append(url)
        answer = self.answers.pop(0)
        status = answer if isinstance(answer, int) else 200
        body = {"error": {"message": "no", "code": status, "status": "REFUSED"}} if status != 200 else answer
        return Reply(status, "application/json", [json.dumps(body).encode()])


def message_batch(status: str = "in_progress", **counts: int) -> Json:
    none = {"processing": 0, "succeeded": 0, "errored": 0, "expired": 0, "canceled": 0}
    return {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {**none, **counts},
        "created_at": BEGUN,
        "ended_at": ENDED if status == "ended" else None,
        "expires_at": ENDED,
        "cancel_initiated_at": ENDED if "canceled" in counts else None,
    }


def google_batch(state: str, **more: Any) -> Json:
    return {
        "name": "batches/1",
        "metadata": {"state": f"BATCH_STATE_{state}", "createTime": BEGUN, "model": "models/gemini", **more},
    }


def interaction(status: str, **more: Any) -> Json:
    named = {"id": "v1_1", "object": "interaction", "model": "gemini", "status": status}
    return {**named, "created": BEGUN, "updated": ENDED, **more}


def mistral_batch(status: str, succeeded: int = 0, failed: int = 0) -> Json:
    return {
        "id": "0815", "object": "batch", "input_files": ["f"], "endpoint": "/v1/chat/completions", "errors": [],
        "status": status, "created_at": int(NOW.timestamp()) - 60, "model": "mistral-small",
        "total_requests": 4, "completed_requests": succeeded + failed, "succeeded_requests": succeeded,
        "failed_requests": failed,
    }  # fmt: skip


def embed_job(status: str) -> Json:
    return {
        "job_id": "e1",
        "status": status,
        "created_at": BEGUN,
        "input_dataset_id": "d",
        "model": "embed-v4",
        "truncate": "END",
    }


def cohere_batch(status: str, succeeded: int) -> Json:
    return {
        "id": "b1",
        "name": "mine",
        "status": f"BATCH_STATUS_{status}",
        "created_at": BEGUN,
        "updated_at": ENDED,
        "input_dataset_id": "d",
        "model": "command",
        "num_records": 4,
        "num_successful_records": succeeded,
    }


def cohere_model(status: str, **more: Any) -> Json:
    settings = {"base_model": {"base_type": "BASE_TYPE_CHAT", "name": "command"}, "dataset_id": "d"}
    return {
        "id": "f1", "name": "mine", "status": f"STATUS_{status}", "created_at": BEGUN, "settings": settings, **more
    }  # fmt: skip


def cohere_client(*answers: Any) -> Any:
    httpx = importlib.import_module("httpx")
    own = httpx.Client(transport=transport(httpx, Answers(*answers)))
    return importlib.import_module("cohere").Client(api_key="x", base_url="http://model.example", httpx_client=own)


def invocation_job(status: str, **more: Any) -> Json:
    return {
        "jobArn": ARN, "modelId": "amazon.nova-lite", "roleArn": "arn:aws:iam::123456789012:role/mine",
        "status": status, "submitTime": NOW - timedelta(seconds=90),
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://bucket/in"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/out"}}, **more,
    }  # fmt: skip


def bedrock_client(*answers: tuple[str, Json | int], service: str = "bedrock") -> Any:
    """A client that gets these answers: pairs of an operation and its answer, or the status of an error."""
    session, stub = importlib.import_module("botocore.session"), importlib.import_module("botocore.stub")
    client = session.get_session().create_client(
        service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    stubber = stub.Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, int):
            stubber.add_client_error(operation, "ResourceNotFoundException", "no", answer)
        else:
            stubber.add_response(operation, answer)
    stubber.activate()
    return client
