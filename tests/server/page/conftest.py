"""The page in a real browser: one for each module, and in each test a context of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.tracker import ProgressRegistry
from tests.browsing import browser
from tests.server.conftest import page_of_metrics

Visit = Callable[..., Page]
Restarting = Callable[[ProgressRegistry], EmbeddedServer]
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
    """`visit(url, **options of the context)` → a page that fails the test for an error in its scripts or its policy.

    With `has_clock` its time goes on as ever, and further where the test lets it: `page.clock`.
    """
    errors: list[str] = []

    def noted(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(refusal in message.text for refusal in REFUSALS):
            errors.append(message.text)

    with ExitStack() as contexts:

        def visited(
            url: object, path: str = "/", *, state: str = "live", has_clock: bool = False, **options: Any
        ) -> Page:
            context = contexts.enter_context(chromium.new_context(**options))
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", noted)
            if has_clock:
                page.clock.install()
            page.goto(str(url).rstrip("/") + path)
            expect(page.locator("#connection")).to_have_attribute("data-state", state)
            return page

        yield visited
    assert errors == []


@pytest.fixture
def page(visit: Visit, client: httpx2.Client) -> Page:
    """The page of the test's own registry."""
    return visit(client.base_url)


@pytest.fixture
def restarting() -> Iterator[Restarting]:
    """Starts a server in the place of the one before it."""
    servers: list[EmbeddedServer] = []

    def start(registry: ProgressRegistry) -> EmbeddedServer:
        for server in servers:
            server.stop()
        app = create_app(registry, metrics=page_of_metrics)
        port = servers[-1].address.port if servers else 0
        servers.append(EmbeddedServer(lambda: app, port=port))
        servers[-1].start()
        return servers[-1]

    yield start
    servers[-1].stop()


def hide(page: Page, is_hidden: bool) -> None:
    """What the browser does with a tab that is put behind another one."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def lose(page: Page) -> None:
    """The page's connection, as if the server had gone."""
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    for is_hidden in (True, False):
        hide(page, is_hidden)
    expect(page.locator("#connection")).to_have_attribute("data-state", "lost")


def overhear(page: Page) -> Callable[[], list[str]]:
    """What a screen reader is told from now on, aside from what it reads by itself."""
    page.evaluate(
        """() => {
            window.said = [];
            const note = () => window.said.push(document.getElementById("announcer").textContent);
            new MutationObserver(note).observe(document.getElementById("announcer"), { childList: true });
        }"""
    )
    return lambda: page.evaluate("said")


def row_of(page: Page, operation_id: str) -> Any:
    """The element of an operation in one of the lists."""
    return page.locator(f'.operation[data-id="{operation_id}"]')
