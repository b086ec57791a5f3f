"""The page in a real browser: one for each module, and in each test a context of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from midspan.tracking.tracker import ProgressRegistry
from tests.browsing import browser

Visit = Callable[..., Page]
REFUSALS = (
    "401",
    "403",
    "404",
    "409",
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_EMPTY_RESPONSE",
)
"""Of the network, which the page copes with: a browser writes them to its console all the same."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def registry() -> ProgressRegistry:
    """On the machine's clock, as the page is."""
    return ProgressRegistry()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """`visit(url, **options of the context)` → a page that fails the test for an error in its scripts or its policy."""
    errors: list[str] = []

    def noted(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(refusal in message.text for refusal in REFUSALS):
            errors.append(message.text)

    with ExitStack() as contexts:

        def visited(url: object, path: str = "/", *, state: str = "live", **options: Any) -> Page:
            context = contexts.enter_context(chromium.new_context(**options))
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", noted)
            page.goto(str(url).rstrip("/") + path)
            expect(page.locator("#connection")).to_have_attribute("data-state", state)
            return page

        yield visited
    assert errors == []


@pytest.fixture
def page(visit: Visit, client: httpx2.Client) -> Page:
    """The page of the test's own registry."""
    return visit(client.base_url)


def row_of(page: Page, operation_id: str) -> Any:
    """The element of an operation in one of the lists."""
    return page.locator(f'.operation[data-id="{operation_id}"]')
