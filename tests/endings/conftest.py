"""A server for all endings, and what holds for each of them: nobody logs anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.fakes.sdk import Case
from tests.fakes.sdks import sdk_of

UrlOf = Callable[[Case], str]


@pytest.fixture(scope="package")
def url_of() -> Iterator[UrlOf]:
    """Where the fake server of a case's SDK listens; each is started when it is first asked for."""
    urls: dict[str, str] = {}
    with ExitStack() as servers:

        def find(case: Case) -> str:
            if case.provider not in urls:
                urls[case.provider] = servers.enter_context(sdk_of(case).server()).base_url
            return urls[case.provider]

        yield find


@pytest.fixture(autouse=True)
def no_log_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither OpenTelemetry's context nor midspan has anything to complain of.

    asyncio has: the SDK's generators of a dropped stream are closed in no order, with midspan and without.
    """
    yield
    loud = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [f"{record.name}: {record.getMessage()}" for record in loud if record.name != "asyncio"] == []
