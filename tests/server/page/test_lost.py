"""What the page shows while the server is gone: what it knows, as of then, and nothing that only seems to live."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry
from tests.server.page.conftest import Restarting, Visit, hide, overhear, row_of

AT_ONCE = re.compile("^[0-5] s$")
"""An elapsed time shortly after the start, on a busy machine too; the tests let more than half a minute pass.

It is not shown before the page has learnt the time of the test's clock.
"""
SEEN = r"as last seen 14 Nov 22:13:2\d$"
"""The time of the test's clock; of today it would bear no day."""
MARK = re.compile("^$")


@pytest.fixture
def registry(clock: FakeClock) -> ProgressRegistry:
    """With one that runs; the server's time is what the test says."""
    registry = ProgressRegistry(clock=clock)
    registry.create_tracker("runs", name="runs").enter_stage("reading")
    return registry


def elapsed(page: Page) -> Locator:
    return row_of(page, "runs").locator(".elapsed")


def unanswered(route: Route) -> None:
    """What a network does that has gone."""


def test_clocks_stand_still_while_the_server_is_gone_and_go_on_with_it(
    visit: Visit, restarting: Restarting, registry: ProgressRegistry, clock: FakeClock
) -> None:
    server = restarting(registry)
    page = visit(server.url, has_clock=True, timezone_id="UTC")
    row, line = row_of(page, "runs"), page.locator("#connection")
    expect(elapsed(page)).to_have_text(AT_ONCE)
    said = overhear(page)
    server.stop()
    expect(row).to_have_attribute("data-seen", MARK)
    expect(line).to_have_text(re.compile(f"^connection lost, trying again · {SEEN}"))
    told, stood = line.inner_text(), elapsed(page).inner_text()
    with page.expect_event("requestfailed", lambda request: "stream" in request.url):
        page.clock.fast_forward(90_000)
    assert (line.inner_text(), elapsed(page).inner_text()) == (told, stood)
    expect(row.locator(".sign")).to_have_text("◌")
    expect(row.locator(".hidden")).to_have_text("running when last seen: ")
    expect(row.locator("progress")).to_have_css("animation-name", "none")
    expect(page).to_have_title("not connected · midspan")
    clock.advance(90)
    restarting(registry)
    page.clock.fast_forward(10_000)
    expect(row).not_to_have_attribute("data-seen", MARK)
    expect(elapsed(page)).to_have_text(re.compile("^1 min [34]. s$"))
    expect(line).to_have_text("live")
    page.clock.fast_forward(5_000)
    assert said() == [told, "connected"]


def test_a_stream_that_is_ended_in_good_order_and_taken_up_again_alarms_nobody(
    visit: Visit, restarting: Restarting, registry: ProgressRegistry
) -> None:
    page = visit(restarting(registry).url, has_clock=True)
    expect(elapsed(page)).to_have_text(AT_ONCE)
    page.clock.pause_at(time.time() + 20)
    said = overhear(page)
    page.evaluate(
        """() => {
            window.states = [];
            const line = document.getElementById("connection");
            const note = () => window.states.push(line.dataset.state);
            new MutationObserver(note).observe(line, { attributeFilter: ["data-state"] });
        }"""
    )
    restarting(registry)
    expect(page.locator("#connection")).to_have_text("connecting")
    page.clock.fast_forward(1_000)
    expect(page.locator("#connection")).to_have_text("live")
    page.clock.fast_forward(5_000)
    assert page.evaluate("states") == ["connecting", "live"]
    assert said() == []


def test_the_open_one_stands_still_and_says_so_where_a_screen_reader_is(
    visit: Visit, restarting: Restarting, registry: ProgressRegistry
) -> None:
    server = restarting(registry)
    page = visit(server.url, "/#op=runs", has_clock=True, timezone_id="UTC")
    detail = page.locator("#detail")
    expect(elapsed(page)).to_have_text(AT_ONCE)
    expect(detail.locator(".stages .number")).to_be_visible()
    expect(detail.get_by_role("status")).to_have_text("")
    server.stop()
    expect(detail.get_by_role("status")).to_have_text(re.compile(f"not connected, {SEEN}"))
    stood = detail.inner_text()
    page.clock.fast_forward(90_000)
    assert detail.inner_text() == stood
    restarting(registry)
    page.clock.fast_forward(10_000)
    expect(detail.get_by_role("status")).to_have_text("")
    expect(detail.locator("[data-seen]")).to_have_count(0)


def test_of_a_network_that_is_silent_the_last_word_counts_and_not_when_that_is_noticed(
    visit: Visit, client: httpx2.Client
) -> None:
    page = visit(client.base_url, has_clock=True)
    expect(elapsed(page)).to_have_text(AT_ONCE)
    page.route("**/v1/**", unanswered)
    page.clock.fast_forward(41_000)
    expect(row_of(page, "runs")).to_have_attribute("data-seen", MARK)
    expect(elapsed(page)).to_have_text(AT_ONCE)


def test_a_tab_that_is_seen_again_shows_nothing_as_newer_than_it_knows(visit: Visit, client: httpx2.Client) -> None:
    page = visit(client.base_url, has_clock=True)
    expect(elapsed(page)).to_have_text(AT_ONCE)
    hide(page, True)
    page.route("**/v1/**", unanswered)
    page.clock.fast_forward(90_000)
    hide(page, False)
    page.clock.fast_forward(2_000)
    expect(page.locator("#connection")).to_have_text("connecting")
    expect(elapsed(page)).to_have_text(AT_ONCE)


def test_one_that_is_gone_does_not_go_on_before_that_is_known(
    visit: Visit, restarting: Restarting, registry: ProgressRegistry
) -> None:
    server = restarting(registry)
    page = visit(server.url, has_clock=True)
    expect(elapsed(page)).to_have_text(AT_ONCE)
    server.stop()
    expect(row_of(page, "runs")).to_have_attribute("data-seen", MARK)
    asked: list[Any] = []
    page.route("**/v1/operations?*", lambda route: asked.append(route))
    after = ProgressRegistry()
    after.create_tracker("new", name="new").start()
    restarting(after)
    with page.expect_request("**/v1/operations?*"):
        page.clock.fast_forward(90_000)
    expect(page.locator("#connection")).to_have_text("live")
    page.clock.fast_forward(2_000)
    expect(row_of(page, "runs")).to_have_attribute("data-seen", MARK)
    expect(elapsed(page)).to_have_text(AT_ONCE)
    asked[0].continue_()
    expect(row_of(page, "runs")).to_have_count(0)
    # Of itself, before the server's next sign of life.
    expect(row_of(page, "new")).not_to_have_attribute("data-seen", MARK, timeout=10_000)
