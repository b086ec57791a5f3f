"""A server for all endings, and what holds for each of them: nobody logs anything."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from tests.fakes.openai_server import FakeOpenAI


@pytest.fixture(autouse=True, scope="module")
def small_heap() -> Iterator[None]:
    """A forced collection need not look at the modules of the SDKs again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="package")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(autouse=True)
def no_log_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither OpenTelemetry's context nor midspan has anything to complain of.

    asyncio has: the SDK's generators of a dropped stream are closed in no order, with midspan and without.
    """
    yield
    loud = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [f"{record.name}: {record.getMessage()}" for record in loud if record.name != "asyncio"] == []
