"""Bodies of requests: what is wrong with them is told, and where."""

from __future__ import annotations

import pytest

URL = "/v1/operations"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"operation_type": 1}', "operation_type"),
        (b'{"operation_type": ""}', "operation_type"),
        (b'{"operation_id": "a b"}', "operation_id"),
        (b'{"operation_id": "stream"}', "operation_id"),
        (b'{"progress": 1.5}', "progress"),
        (b'{"progress": "0.5"}', "progress"),
        (b'{"step": -1}', "step"),
        (b'{"step": 1.5}', "step"),
        (b'{"total": 1e300}', "total"),
        (b'{"total_steps": 1e400}', "total_steps"),
        (b'{"metadata": {"k": []}}', "metadata[...]"),
        (b'{"metadata": []}', "metadata"),
        (b'{"message": null, "nmae": "x"}', "nmae"),
        (b'{"deadline_at": "2026-01-01T00:00:00"}', "deadline_at"),
        (b'{"deadline_at": "soon"}', "deadline_at"),
        (b'{"cancel": "native"}', "cancel"),
        (b'{"status": "completed"}', "status"),
        (b"[]", ""),
        (b"null", ""),
    ],
)
def test_a_wrong_field_is_named(client, body: bytes, field: str) -> None:
    answer = client.post(URL, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert client.get(URL).json()["operations"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"progress": NaN}', b"\xff\xfe", b"{}{}"])
def test_what_is_no_json_is_a_400(client, body: bytes) -> None:
    answer = client.post(URL, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_body_that_is_missing_is_said_to_be_empty(client) -> None:
    answer = client.post(URL, headers={"content-type": "application/json"})
    assert answer.json()["detail"] == "the body is no JSON: it is empty"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type_is_a_415(client, kind: str) -> None:
    answer = client.post(URL, content=b"{}", headers={"content-type": kind} if kind else {})
    assert answer.status_code == 415


def test_a_body_that_may_be_left_out_may_be_left_out(client) -> None:
    assert client.post("/v1/cleanup").json() == {"removed": 0}


def test_a_whole_number_may_be_written_with_a_point(client) -> None:
    answer = client.post(URL, json={"step": 2.0, "total_steps": 4.0, "metadata": {"k": 1.0}, "message": "m"})
    assert (answer.status_code, answer.json()["step"], answer.json()["percent_complete"]) == (201, 2, 50.0)
