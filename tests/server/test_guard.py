from __future__ import annotations

import logging

from midspan.core import failures


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
