"""The example pages in a real browser, with the server that comes with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browsing import ROOT, browser, node_modules
from tests.programs import free_port, running

WEB = ROOT / "examples" / "web"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The example's own server, as somebody would start it."""
    url = f"http://127.0.0.1:{free_port()}"
    with running([sys.executable, str(WEB / "serve.py"), url.rpartition(":")[2]], f"{url}/web/"):
        yield url


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A page that fails the test for an error in its scripts."""
    errors: list[str] = []
    with chromium.new_context(base_url=site) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert errors == []


def start(site: str, question: str) -> str:
    body = {"question": question, "pause": 0.05}
    return httpx2.post(f"{site}/api/v1/streaming-chat/ask-question", json=body).json()["task_id"]


def test_s2_27_31_the_event_source_page_shows_a_task_to_its_end(page: Page, site: str) -> None:
    page.goto("/web/eventsource.html")
    page.fill("#question", "Will it rain?")
    page.click("button")
    expect(page.locator("#result")).to_contain_text("Will it rain? Certainly.", timeout=15_000)
    steps = page.locator("#log li").all_text_contents()
    assert steps[-1] == "completed: 100% - Writing the answer"
    assert any(step.startswith("analyzing_rag: ") for step in steps)
    assert page.locator("#bar").evaluate("bar => bar.value") == 100


def test_a_page_that_is_opened_late_shows_the_ending(page: Page, site: str) -> None:
    task_id = start(site, "Is it over?")
    for _ in range(2):
        page.goto(f"/web/eventsource.html?task={task_id}")
        expect(page.locator("#result")).to_contain_text("Is it over? Certainly.", timeout=15_000)


def test_s2_28_texts_of_a_task_are_never_html(page: Page, site: str) -> None:
    task_id = start(site, "<img src=x onerror='document.title = `hit`'>")
    page.goto(f"/web/eventsource.html?task={task_id}")
    expect(page.locator("#result")).to_contain_text("<img src=x", timeout=15_000)
    assert page.locator("#result img").count() == 0
    assert page.title() == "A task over EventSource"


def test_a_refusal_is_shown(page: Page) -> None:
    page.goto("/web/eventsource.html?task=nobody")
    expect(page.locator("#error")).to_have_text("the connection was refused")


def test_s2_29_30_the_react_hook_shows_a_task_to_its_end(page: Page) -> None:
    wanted = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    modules = node_modules(wanted)

    def give(route: Route) -> None:
        route.fulfill(path=Path(modules, route.request.url.partition("/node_modules/")[2]))

    page.route("**/node_modules/**", give)
    page.goto("/web/react.html")
    page.click("button")
    expect(page.locator("#result")).to_have_text("Will it rain? Certainly.", timeout=15_000)
    steps = page.locator("#log li").all_text_contents()
    assert steps[-1] == "completed: 100% - Writing the answer"
    assert page.locator("#error").count() == 0


def test_s3_18_the_monitor_page_shows_every_session(page: Page, site: str) -> None:
    page.goto("/web/monitor.html")
    expect(page.locator("#connection")).to_have_text("open")
    start(site, "Does it show?")
    row = page.locator("#sessions tr").first
    expect(row).to_contain_text("ask-question")
    expect(row).to_contain_text("completed", timeout=15_000)
    assert "100%" in row.text_content()  # type: ignore[operator]


def test_s3_45_a_hidden_page_is_not_connected(page: Page) -> None:
    page.goto("/web/monitor.html")
    expect(page.locator("#connection")).to_have_text("open")
    for hidden, wanted in (("true", "closed"), ("false", "open")):
        page.evaluate(
            f"Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        expect(page.locator("#connection")).to_have_text(wanted)
