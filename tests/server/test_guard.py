from __future__ import annotations

import logging

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from midspan.core import failures
from midspan.server import websocket


def broken(_: str) -> tuple[bytes, str]:
    raise RuntimeError("secret detail")


def test_an_unhandled_error_is_counted_and_answered_without_its_details(serving, registry, monkeypatch, caplog) -> None:
    monkeypatch.setattr(failures, "raising", False)
    with serving(registry, metrics=broken) as client, caplog.at_level(logging.INFO):
        first, second = client.get("/metrics"), client.get("/metrics")
        alive = client.get("/healthz")
    for answer in (first, second):
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
    assert alive.status_code == 200
    assert failures.counts()["server"] == 2
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["midspan"]


def test_an_unhandled_error_of_a_websocket_is_counted_and_ends_it_only(serving, registry, monkeypatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(websocket, "Conversation", broken)
    with serving(registry) as client:
        url = f"ws://{client.base_url.host}:{client.base_url.port}/v1/ws"
        with pytest.raises((InvalidStatus, InvalidMessage)):
            connect(url)
        assert client.get("/healthz").status_code == 200
    assert failures.counts()["server"] == 1


def test_a_header_that_a_route_has_set_stays(client) -> None:
    answer = client.head("/v1/stream")
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert client.get("/v1/operations").headers["cache-control"] == "no-store"
